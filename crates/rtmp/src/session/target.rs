//! Which stream a client means: every form of address that encoders use.

/// A stream's address, taken apart but not yet judged: the caller checks that the key is a
/// name before it is used for anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Application without query and without slashes at its ends; `app/instance` is kept.
    pub app: String,
    /// Stream key without query.
    pub key: String,
    /// Query strings of key, application and `tcUrl`, in this order, joined by `&`. The same
    /// text is not repeated.
    pub query: Option<String>,
}

impl Target {
    /// Puts `connect`'s application and `tcUrl` and `publish`'s or `play`'s name together.
    /// Without a name, the last segment of the application is the key.
    #[must_use]
    pub fn new(app: &str, tc_url: &str, name: &str) -> Self {
        let (name, name_query) = split_query(name);
        let (app, app_query) = split_query(app);
        let (_, url_query) = split_query(tc_url);
        let (mut app, mut key) = (trim(app), trim(name));
        if key.is_empty() {
            (app, key) = app.rsplit_once('/').unwrap_or(("", app));
            app = trim(app);
        }
        // The default instance, which Flash Media Server names so.
        app = app.strip_suffix("/_definst_").unwrap_or(app);
        let mut queries: Vec<&str> = Vec::new();
        for query in [name_query, app_query, url_query].into_iter().flatten() {
            if !query.is_empty() && !queries.contains(&query) {
                queries.push(query);
            }
        }
        Self {
            app: app.to_owned(),
            key: key.to_owned(),
            query: (!queries.is_empty()).then(|| queries.join("&")),
        }
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes() {
        for ((app, url, name), (want_app, want_key, want_query)) in [
            (("live", "rtmp://h/live", "k"), ("live", "k", None)),
            (("live", "", "k?a=1&b=?"), ("live", "k", Some("a=1&b=?"))),
            (
                ("live?t=x", "rtmp://h/live?t=x", "k"),
                ("live", "k", Some("t=x")),
            ),
            (
                ("live", "rtmp://h/live?t=x", "k"),
                ("live", "k", Some("t=x")),
            ),
            (("live?t=x", "", "k?u=y"), ("live", "k", Some("u=y&t=x"))),
            (("live/k", "rtmp://h/live/k", ""), ("live", "k", None)),
            (("/live/k/?t=x", "", ""), ("live", "k", Some("t=x"))),
            (("k", "", ""), ("", "k", None)),
            (("live/inst", "", "k"), ("live/inst", "k", None)),
            (("live/_definst_", "", "k"), ("live", "k", None)),
            (("live/", "", "/k/"), ("live", "k", None)),
            (("live", "", "../k"), ("live", "../k", None)),
            (("", "", ""), ("", "", None)),
            (("live", "", "k?"), ("live", "k", None)),
        ] {
            let target = Target::new(app, url, name);
            assert_eq!(
                (&target.app[..], &target.key[..], target.query.as_deref()),
                (want_app, want_key, want_query),
                "{app} {url} {name}"
            );
        }
    }
}

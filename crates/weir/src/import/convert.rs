//! What directives mean to weir.

use super::names::reason;
use super::syntax::Directive;
use crate::config::HOOK_TIMEOUT;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use weir_http::network::Network;
use weir_media::StreamName;

/// Longest part of a directive that is shown in a comment, in characters.
const SHOWN_MAX: usize = 160;

/// Applications that are carried over; the configuration takes no more.
const APPLICATIONS_MAX: usize = 64;

/// The calls that nginx-rtmp and weir both have.
const CALLS: [&str; 5] = [
    "on_publish",
    "on_play",
    "on_publish_done",
    "on_play_done",
    "on_done",
];

const HEADER: &str = "\
# Made by `weir config import`. What could be carried over is set, each with the line it comes
# from; what could not stands at the end, with the reason. `weir config check` says whether weir
# takes it, `weir config print` explains every key.
";

const OPEN: &str = "\
# nginx-rtmp lets whoever may publish choose any name; so does this.
";

const OPEN_HOOK: &str = "\
# It is the program behind on_publish that decides, as before.
";

const OPEN_WARNING: &str = "\
# Nobody decides: whoever reaches the port can publish. Better: open = false, and an [[input]] with
# a key (`weir config key`) for each stream.
";

/// The configuration, as text.
pub fn convert(directives: &[Directive], files: &[String]) -> String {
    let mut out = Converter {
        files,
        top: BTreeMap::new(),
        access: BTreeMap::new(),
        hooks: BTreeMap::new(),
        pulls: String::new(),
        notes: Vec::new(),
        applications: Vec::new(),
        private: Vec::new(),
        records: false,
    };
    out.main(directives);
    out.finish()
}

/// A key's value and the directive it comes from.
struct Set {
    value: String,
    from: String,
}

type Table = BTreeMap<&'static str, Set>;

struct Converter<'a> {
    files: &'a [String],
    top: Table,
    access: Table,
    hooks: Table,
    /// `[[pull]]` tables.
    pulls: String,
    /// What could not be carried over.
    notes: Vec<String>,
    applications: Vec<String>,
    /// Private addresses that pulls go to.
    private: Vec<String>,
    /// Whether anything is recorded.
    records: bool,
}

impl Converter<'_> {
    /// Where a directive stands, and what it says.
    fn shown(&self, d: &Directive) -> String {
        let file = self.files.get(d.file).map_or("?", String::as_str);
        let mut text = d.name.clone();
        for arg in &d.args {
            text.push(' ');
            text.push_str(arg);
        }
        let printable = text.chars().filter(|c| !c.is_control());
        let text: String = printable.take(SHOWN_MAX).collect();
        format!("{}:{}: {text}", plain(file), d.line)
    }

    fn note(&mut self, d: &Directive, why: &str) {
        self.notes.push(format!("{}\n  {why}", self.shown(d)));
    }

    /// Sets a key once for all; another value later is a note.
    fn set(
        &mut self,
        table: fn(&mut Self) -> &mut Table,
        key: &'static str,
        value: String,
        d: &Directive,
    ) {
        let from = self.shown(d);
        let known = table(self).get(key).map(|set| set.value == value);
        match known {
            None => drop(table(self).insert(key, Set { value, from })),
            Some(true) => {}
            Some(false) => self.note(
                d,
                &format!("weir has one {key} for all; the first is taken"),
            ),
        }
    }

    fn main(&mut self, directives: &[Directive]) {
        for d in directives {
            match d.name.as_str() {
                "rtmp" => self.rtmp(block(d)),
                "worker_processes" => self.workers(d),
                "http" => self.http(block(d)),
                name if name.starts_with("rtmp_") => self.unknown(d),
                _ => {}
            }
        }
    }

    fn workers(&mut self, d: &Directive) {
        match arg(d).parse::<usize>() {
            Ok(n) if (1..=weir_store::limits::WORKERS_MAX).contains(&n) => {
                self.set(|c| &mut c.top, "workers", n.to_string(), d);
            }
            // `auto` is what weir does by itself.
            _ => {}
        }
    }

    /// The statistics and control of nginx-rtmp stand among the sites.
    fn http(&mut self, directives: &[Directive]) {
        for d in directives {
            if d.name.starts_with("rtmp_") {
                self.unknown(d);
            }
            self.http(block(d));
        }
    }

    fn rtmp(&mut self, directives: &[Directive]) {
        for d in directives {
            match d.name.as_str() {
                "server" => self.server(block(d), directives),
                _ => self.common(d),
            }
        }
    }

    fn server(&mut self, directives: &[Directive], outer: &[Directive]) {
        for d in directives {
            match d.name.as_str() {
                "listen" => self.listen(d),
                "application" => self.application(d, &[directives, outer]),
                _ => self.common(d),
            }
        }
    }

    fn listen(&mut self, d: &Directive) {
        let at = arg(d);
        let port = |port: &str| port.parse::<u16>().ok();
        let address = match at.rsplit_once(':') {
            None if at.starts_with("unix") => None,
            None => port(at).map(|port| format!("[::]:{port}")),
            Some(("*", p)) => port(p).map(|port| format!("[::]:{port}")),
            Some((host, p)) => {
                let host = host.replace("0.0.0.0", "[::]");
                port(p).map(|port| format!("{host}:{port}"))
            }
        };
        match address.filter(|a| a.parse::<std::net::SocketAddr>().is_ok()) {
            Some(address) => self.set(|c| &mut c.top, "rtmp", quote(&address), d),
            None => self.note(
                d,
                "weir listens on an address with a port, such as [::]:1935",
            ),
        }
        if d.args.iter().any(|a| a == "proxy_protocol") {
            self.note(
                d,
                "not there yet: PROXY headers on RTMP; they are taken on HTTP",
            );
        }
    }

    fn application(&mut self, d: &Directive, outer: &[&[Directive]]) {
        let name = arg(d);
        let inner = block(d);
        if inner.iter().any(|d| d.name == "live" && arg(d) == "on") {
            if StreamName::parse(name).is_err() {
                self.note(d, "weir's applications are one segment of [0-9A-Za-z_.-]");
            } else if self.applications.len() >= APPLICATIONS_MAX {
                self.note(d, "more applications than weir takes");
            } else if !self.applications.iter().any(|a| a == name) {
                self.applications.push(name.to_owned());
            }
        } else {
            self.note(d, "it has no `live on`: nothing is published there");
        }
        for call in ["publish", "play"] {
            self.access(call, inner, outer);
        }
        for d in inner {
            match d.name.as_str() {
                "live" => {}
                "allow" | "deny" => {}
                "pull" => self.pull(d),
                "push" => self.push(d),
                _ => self.common(d),
            }
        }
    }

    /// Directives that mean the same wherever they stand.
    fn common(&mut self, d: &Directive) {
        let name = d.name.as_str();
        if let Some(call) = CALLS.into_iter().find(|call| *call == name) {
            return self.hook(call, d);
        }
        match name {
            // They are looked at with each application.
            "allow" | "deny" => {}
            "hls_fragment" => self.span(d, "segment", 1000, 10_000),
            "hls_playlist_length" => self.span(d, "window", 3000, 86_400_000),
            "hls" | "dash" if arg(d) == "off" => {}
            "record" => {
                self.records |= !d.args.iter().any(|a| a == "off");
                if !matches!(arg(d), "all" | "off") {
                    self.note(
                        d,
                        "all tracks are recorded, or rather: all is kept as it is served",
                    );
                }
            }
            "recorder" => {
                self.records = true;
                self.unknown(d);
            }
            "max_connections" => match arg(d).parse::<u32>() {
                Ok(n) if n > 0 => {
                    self.set(|c| &mut c.top, "connections_max", n.to_string(), d);
                    self.note(
                        d,
                        "connections_max counts the connections of one worker, HTTP too",
                    );
                }
                _ => self.note(d, "no number"),
            },
            "netcall_timeout" => match millis(arg(d)) {
                Some(ms) => {
                    let value = quote(&format!("{}ms", ms.clamp(100, 8000)));
                    self.set(|c| &mut c.hooks, "timeout", value, d);
                    if !(100..=8000).contains(&ms) {
                        self.note(d, "timeout is 100ms to 8s");
                    }
                }
                None => self.note(d, "no length of time"),
            },
            "notify_method" if arg(d) == "post" => {}
            _ => self.unknown(d),
        }
    }

    fn unknown(&mut self, d: &Directive) {
        match reason(&d.name) {
            Some(why) => self.note(d, why),
            None => self.note(d, "unknown: no directive of nginx-rtmp that weir knows"),
        }
    }

    fn span(&mut self, d: &Directive, key: &'static str, least: u64, most: u64) {
        let Some(ms) = millis(arg(d)) else {
            return self.note(d, "no length of time");
        };
        let value = ms.clamp(least, most);
        if value != ms {
            self.note(d, &format!("{key} is {least}ms to {most}ms"));
        }
        self.set(|c| &mut c.top, key, quote(&span(value)), d);
    }

    fn hook(&mut self, call: &'static str, d: &Directive) {
        let url = arg(d);
        match url.parse::<weir_api::hooks::Url>() {
            Ok(_) => self.set(|c| &mut c.hooks, call, quote(url), d),
            Err(why) => self.note(d, &why),
        }
    }

    /// The rules about one call, as nginx-rtmp reads them: those of the application, then those
    /// around it; the first that fits decides, and who fits none may.
    fn access(&mut self, call: &str, inner: &[Directive], outer: &[&[Directive]]) {
        let levels = std::iter::once(inner).chain(outer.iter().copied());
        let of_call = |d: &&Directive| {
            let named = d.args.iter().find(|a| *a == "publish" || *a == "play");
            (d.name == "allow" || d.name == "deny") && named.is_none_or(|named| named == call)
        };
        let rules: Vec<&Directive> = levels.flatten().filter(of_call).collect();
        let Some(&last) = rules.last() else {
            return;
        };
        let (mut allow, mut deny, mut closed) = (Vec::new(), Vec::new(), false);
        for rule in &rules {
            let who = rule
                .args
                .iter()
                .rev()
                .find(|a| *a != "publish" && *a != "play");
            let who = who.map_or("all", String::as_str);
            match (rule.name.as_str(), who) {
                ("allow", "all") => break,
                (_, "all") => {
                    closed = true;
                    break;
                }
                (name, network) => {
                    let Ok(network) = network.parse::<Network>() else {
                        return self.note(rule, "no network; the rules are not carried over");
                    };
                    // Here deny lists win; there the first rule does.
                    if name == "deny" && !allow.is_empty() {
                        let why = "a deny after an allow: the rules are not carried over, since \
                                   weir's deny lists win";
                        return self.note(rule, why);
                    }
                    let list = if name == "allow" {
                        &mut allow
                    } else {
                        &mut deny
                    };
                    list.push(network.to_string());
                }
            }
        }
        let (allow_key, deny_key) = match call {
            "publish" => ("publish_allow", "publish_deny"),
            _ => ("play_allow", "play_deny"),
        };
        if closed && allow.is_empty() {
            // Nobody at all: an empty list would be everybody.
            deny = vec!["0.0.0.0/0".into(), "::/0".into()];
        }
        if closed && !allow.is_empty() {
            self.set(|c| &mut c.access, allow_key, quote(&allow.join(", ")), last);
        }
        if !deny.is_empty() {
            self.set(|c| &mut c.access, deny_key, quote(&deny.join(", ")), last);
        }
    }

    fn pull(&mut self, d: &Directive) {
        let named = |key: &str| {
            let prefix = format!("{key}=");
            d.args
                .iter()
                .find_map(|a| a.strip_prefix(&prefix).map(str::to_owned))
        };
        let Some(name) = named("name") else {
            let why = "without a name it pulls whatever is asked for; weir pulls named streams, \
                       one [[pull]] each";
            return self.note(d, why);
        };
        let url = arg(d);
        let with_scheme = match url.contains("://") {
            true => url.to_owned(),
            false => format!("rtmp://{url}"),
        };
        let key = named("playpath").unwrap_or_else(|| name.clone());
        let parsed = weir_rtmp::Url::parse(&with_scheme, Some(&key));
        let (Ok(parsed), Ok(name)) = (parsed, StreamName::parse(&name)) else {
            return self.note(d, "it has no address or name that weir could pull");
        };
        if self
            .pulls
            .contains(&format!("\nname = {}\n", quote(name.as_str())))
        {
            return self.note(d, "there is a [[pull]] of that name already");
        }
        if let Ok(address) = parsed.host.parse::<std::net::IpAddr>()
            && !weir_net::Reach::new(Vec::new()).allows(address)
            && !self.private.contains(&address.to_string())
        {
            self.private.push(address.to_string());
        }
        let shown = self.shown(d);
        let on_demand = !d.args.iter().any(|a| a == "static");
        // Writing to a String does not fail.
        let _ = write!(
            self.pulls,
            "\n# {shown}\n[[pull]]\nname = {}\nurl = {}\nkey = {}\non_demand = {on_demand}\n",
            quote(name.as_str()),
            quote(&with_scheme),
            quote(&key),
        );
    }

    fn push(&mut self, d: &Directive) {
        let url = arg(d);
        let scheme = if url.contains("://") { "" } else { "rtmp://" };
        let name = d.args.iter().find_map(|a| a.strip_prefix("name="));
        let name = name.unwrap_or("NAME");
        let entry = format!(
            "push = [{{ name = \"1\", url = {} }}]",
            quote(&format!("{scheme}{url}/{name}"))
        );
        let why = format!(
            "weir sends on what an [[input]] publishes; with its key from `weir config key`:\n  \
             [[input]]\n  name = {}\n  key_hash = \"sha256:…\"\n  {entry}",
            quote(name)
        );
        self.note(d, &why);
    }

    fn finish(mut self) -> String {
        let mut text = HEADER.to_owned();
        let hooked = self.hooks.contains_key("on_publish");
        if !self.applications.is_empty() {
            text.push('\n');
            text += OPEN;
            text += if hooked { OPEN_HOOK } else { OPEN_WARNING };
            text += "open = true\n";
        }
        if !self.applications.is_empty() && self.applications != ["live"] {
            let several = self.applications.len() > 1;
            text += "\n# Applications lead to the same streams";
            text += if several {
                ": names must differ between them.\n"
            } else {
                ".\n"
            };
            let _ = writeln!(
                text,
                "applications = {}",
                quote(&self.applications.join(", "))
            );
        }
        self.fit_window();
        table(&mut text, &self.top);
        if !self.private.is_empty() {
            let _ = writeln!(
                text,
                "\n# Private addresses that pulls go to.\nprivate_targets = {}",
                quote(&self.private.join(", "))
            );
        }
        if !self.records && !self.applications.is_empty() {
            text += "\n# Nothing was recorded; what HLS needs is on disk all the same, for this long.\n\
                     keep = \"1h\"\n";
        }
        for (name, keys) in [("access", &self.access), ("hooks", &self.hooks)] {
            if !keys.is_empty() {
                let _ = write!(text, "\n[{name}]");
                table(&mut text, keys);
            }
        }
        if hooked && !self.hooks.contains_key("timeout") {
            let _ = writeln!(
                text,
                "# nginx-rtmp waits 10 s; weir {HOOK_TIMEOUT}, and at most 8 s."
            );
        }
        text += &self.pulls;
        if !self.notes.is_empty() {
            text += "\n# Not carried over:\n";
        }
        for line in self.notes.iter().flat_map(|note| note.lines()) {
            let _ = writeln!(text, "# {line}");
        }
        text
    }

    /// A live playlist has at least three segments.
    fn fit_window(&mut self) {
        let ms = |table: &Table, key| {
            let set: Option<&Set> = table.get(key);
            set.and_then(|set| millis(set.value.trim_matches('"')))
        };
        let segment = ms(&self.top, "segment").unwrap_or(4000);
        if let Some(set) = self.top.get_mut("window")
            && millis(set.value.trim_matches('"')).is_some_and(|ms| ms < 3 * segment)
        {
            set.value = quote(&span(3 * segment));
            set.from += " (at least three segments)";
        }
    }
}

fn table(text: &mut String, table: &Table) {
    for (key, set) in table {
        let _ = write!(text, "\n# {}\n{key} = {}\n", set.from, set.value);
    }
}

fn block(d: &Directive) -> &[Directive] {
    d.block.as_deref().unwrap_or_default()
}

fn arg(d: &Directive) -> &str {
    d.args.first().map_or("", String::as_str)
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A length of time as nginx writes it, such as `5s`, `1m30s` or `500ms`; without a unit seconds.
fn millis(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text.trim(), 0_u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let units = [
            ("ms", 1),
            ("s", 1000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
        ];
        let unit = units.iter().find(|(name, _)| after.starts_with(name));
        let (skip, scale) = match unit {
            Some((name, scale)) => (name.len(), *scale),
            None if after.is_empty() => (0, 1000),
            None => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(scale)?;
        total = total.checked_add(part)?;
        rest = &after[skip..];
    }
    Some(total)
}

fn span(ms: u64) -> String {
    crate::config::Span(std::time::Duration::from_millis(ms)).to_string()
}

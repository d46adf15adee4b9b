//! The watch page and the files it needs, all in the binary.

use weir_media::StreamName;

/// The player page. It plays on a click, and says so when nothing is live. The page is the
/// same for every stream: the manifest stands beside it.
const WATCH: &str = include_str!("../assets/watch.html");

/// hls.js, exactly as npm publishes it; `cargo xtask player` checks that.
const HLS_JS: &[u8] = include_bytes!("../assets/hls.js/hls.min.js");
const HLS_JS_LICENCE: &[u8] = include_bytes!("../assets/hls.js/LICENSE");

/// The page of a stream. The name needs no escaping: its alphabet is safe in HTML.
pub(crate) fn watch(name: &StreamName) -> String {
    WATCH.replace("{{name}}", name.as_str())
}

/// A file of the player: bytes and media type.
pub(crate) fn asset(name: &str) -> Option<(&'static [u8], &'static str)> {
    match name {
        "hls-1.7.4.min.js" => Some((HLS_JS, "text/javascript; charset=utf-8")),
        "hls-1.7.4.LICENSE.txt" => Some((HLS_JS_LICENCE, "text/plain; charset=utf-8")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_stream_and_only_files_that_exist() {
        let page = watch(&StreamName::parse("my-show").unwrap());
        assert!(page.contains("<title>my-show</title>") && !page.contains("{{"));
        let mut files = 0;
        for (at, _) in page.match_indices("../s/player/") {
            let name = page[at + "../s/player/".len()..].split('"').next().unwrap();
            assert!(asset(name).is_some(), "{name}");
            files += 1;
        }
        assert!(files > 0);
    }
}

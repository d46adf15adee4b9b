//! Attribute lists (rfc8216bis §4.2).

use crate::error::Fault;

/// Walks `NAME=value` pairs; a quoted value comes without its quotation marks. The walk ends
/// after a fault.
pub(super) struct Attributes<'a> {
    rest: &'a str,
    tag: &'static str,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(list: &'a str, tag: &'static str) -> Self {
        Self { rest: list, tag }
    }

    /// The pair at the start, and what follows it.
    fn split(list: &'a str) -> Option<((&'a str, &'a str), &'a str)> {
        let (name, after) = list.split_once('=')?;
        let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        match after.strip_prefix(',') {
            // Senders write a space after the comma, and a comma after the last pair.
            Some(rest) => Some(((name, value), rest.trim_start())),
            None if after.trim_end().is_empty() => Some(((name, value), "")),
            None => None,
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, &'a str), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((pair, rest)) = Self::split(self.rest) else {
            self.rest = "";
            return Some(Err(Fault::AttributeList(self.tag)));
        };
        self.rest = rest;
        Some(Ok(pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &str) -> Result<Vec<(&str, &str)>, Fault> {
        Attributes::new(list, "TAG").collect()
    }

    #[test]
    fn commas_and_equal_signs_may_be_quoted() {
        let list = "A=1,B-2=\"x,y=z\", C=,D=\"\"";
        let want = [("A", "1"), ("B-2", "x,y=z"), ("C", ""), ("D", "")];
        assert_eq!(pairs(list).unwrap(), want);
        assert_eq!(pairs("").unwrap(), []);
    }

    #[test]
    fn malformed_lists_are_refused() {
        for bad in ["A", "=1", "a=1", "A=\"x", "A=\"x\"y", "A=1,B", ",A=1"] {
            assert_eq!(pairs(bad), Err(Fault::AttributeList("TAG")), "{bad}");
        }
    }
}

//! nginx's configuration, as `weir config import` reads it. The parser is a module of the program,
//! which is no library: its file is taken in here.

#[path = "../../crates/weir/src/import/syntax.rs"]
mod syntax;

use std::fmt::Write as _;
use syntax::{DEPTH_MAX, DIRECTIVES_MAX, Directive, WORD_BYTES_MAX, WORDS_MAX};

/// A file: what was read is within its bounds, and written with quotes it is read as the same.
pub fn file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match syntax::parse(&text, 7) {
        Ok(directives) => {
            let mut left = DIRECTIVES_MAX;
            check(&directives, 0, &mut left);
            let mut again = String::new();
            write(&directives, &mut again);
            let read = syntax::parse(&again, 7).expect("what we wrote ourselves");
            let mut third = String::new();
            write(&read, &mut third);
            assert_eq!(again, third);
        }
        Err(wrong) => {
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&wrong.line) && !wrong.why.is_empty());
        }
    }
}

fn check(directives: &[Directive], depth: usize, left: &mut usize) {
    assert!(depth <= DEPTH_MAX);
    for d in directives {
        *left = left
            .checked_sub(1)
            .expect("no more directives than allowed");
        assert!(d.args.len() <= WORDS_MAX && d.file == 7 && d.line >= 1);
        let words = std::iter::once(&d.name).chain(&d.args);
        assert!(words.into_iter().all(|word| word.len() <= WORD_BYTES_MAX));
        check(d.block.as_deref().unwrap_or_default(), depth + 1, left);
    }
}

fn write(directives: &[Directive], out: &mut String) {
    for d in directives {
        for word in std::iter::once(&d.name).chain(&d.args) {
            let word = word.replace('\\', "\\\\").replace('"', "\\\"");
            // Writing to a String does not fail.
            let _ = write!(out, "\"{word}\" ");
        }
        match &d.block {
            Some(block) => {
                out.push('{');
                write(block, out);
                out.push('}');
            }
            None => out.push(';'),
        }
    }
}

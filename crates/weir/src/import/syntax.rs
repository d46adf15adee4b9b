//! The syntax of nginx's configuration: directives of words, ended by `;` or a block in braces.
//!
//! Pure and bounded, whatever the text. Not covered: the `*_by_lua_block` directives of OpenResty,
//! whose braces hold another language.

/// Longest word, in bytes; nginx's own buffer has as much.
pub const WORD_BYTES_MAX: usize = 4096;

/// Words of one directive.
pub const WORDS_MAX: usize = 256;

/// Blocks inside of each other.
pub const DEPTH_MAX: usize = 16;

/// Directives of one file.
pub const DIRECTIVES_MAX: usize = 20_000;

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its first word.
    pub name: String,
    /// The others.
    pub args: Vec<String>,
    /// Number of its file.
    pub file: usize,
    /// Line of its first word, from 1.
    pub line: usize,
    /// What stands in its braces, if it has any.
    pub block: Option<Vec<Directive>>,
}

/// Where a text is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

/// Takes the text of file number `file` apart.
///
/// # Errors
/// The line, and what is wrong there.
pub fn parse(text: &str, file: usize) -> Result<Vec<Directive>, Wrong> {
    let mut reader = Reader {
        rest: text,
        file,
        line: 1,
        left: DIRECTIVES_MAX,
    };
    reader.block(0)
}

struct Reader<'a> {
    rest: &'a str,
    file: usize,
    line: usize,
    /// Directives that may still come.
    left: usize,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    Over,
}

impl Reader<'_> {
    fn wrong<T>(&self, why: &str) -> Result<T, Wrong> {
        Err(Wrong {
            line: self.line,
            why: why.to_owned(),
        })
    }

    /// The directives up to the closing brace, or of the whole file.
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, Wrong> {
        let mut directives = Vec::new();
        loop {
            let (name, line) = match self.token()? {
                Token::Word(word) => (word, self.line),
                Token::Close if depth > 0 => return Ok(directives),
                Token::Over if depth == 0 => return Ok(directives),
                Token::Over => return self.wrong("the file ends inside of a block"),
                Token::Close => return self.wrong("a \"}\" too many"),
                Token::End | Token::Open => return self.wrong("a directive without a name"),
            };
            if self.left == 0 {
                return self.wrong("more directives than are read");
            }
            self.left -= 1;
            let mut args = Vec::new();
            let block = loop {
                match self.token()? {
                    Token::Word(word) if args.len() < WORDS_MAX => args.push(word),
                    Token::Word(_) => return self.wrong("more words than are read"),
                    Token::End => break None,
                    Token::Open if depth < DEPTH_MAX => break Some(self.block(depth + 1)?),
                    Token::Open => {
                        return self.wrong("more blocks inside of each other than are read");
                    }
                    Token::Close | Token::Over => {
                        return self.wrong(&format!("{name:?} is not ended by \";\""));
                    }
                }
            };
            directives.push(Directive {
                name,
                args,
                file: self.file,
                line,
                block,
            });
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn token(&mut self) -> Result<Token, Wrong> {
        loop {
            match self.peek() {
                None => return Ok(Token::Over),
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next();
                    }
                }
                Some(c) if c.is_ascii_whitespace() => drop(self.next()),
                // Byte order marks are what editors leave.
                Some('\u{feff}') => drop(self.next()),
                Some(';') => {
                    self.next();
                    return Ok(Token::End);
                }
                Some('{') => {
                    self.next();
                    return Ok(Token::Open);
                }
                Some('}') => {
                    self.next();
                    return Ok(Token::Close);
                }
                Some(quote @ ('"' | '\'')) => {
                    self.next();
                    return self.quoted(quote).map(Token::Word);
                }
                Some(_) => return self.word().map(Token::Word),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let mut word = String::new();
        loop {
            match self.next() {
                None => return self.wrong("the file ends inside of a quoted word"),
                Some(c) if c == quote => return Ok(word),
                Some('\\') => self.escaped(&mut word)?,
                Some(c) => word.push(c),
            }
            self.check(&word)?;
        }
    }

    fn word(&mut self) -> Result<String, Wrong> {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match c {
                ';' => break,
                // Braces after a dollar belong to a variable.
                '{' if word.ends_with('$') => {
                    while let Some(c) = self.next() {
                        word.push(c);
                        self.check(&word)?;
                        if c == '}' {
                            break;
                        }
                    }
                    continue;
                }
                '{' | '}' => break,
                c if c.is_ascii_whitespace() => break,
                _ => {}
            }
            self.next();
            match c {
                '\\' => self.escaped(&mut word)?,
                c => word.push(c),
            }
            self.check(&word)?;
        }
        Ok(word)
    }

    /// What follows a backslash: nginx keeps it before all but quotes, blanks and itself.
    fn escaped(&mut self, word: &mut String) -> Result<(), Wrong> {
        match self.next() {
            None => return self.wrong("the file ends after a backslash"),
            Some('t') => word.push('\t'),
            Some('n') => word.push('\n'),
            Some('r') => word.push('\r'),
            Some(c @ ('"' | '\'' | '\\' | ' ' | ';' | '{' | '}')) => word.push(c),
            Some(c) => word.extend(['\\', c]),
        }
        Ok(())
    }

    fn check(&self, word: &str) -> Result<(), Wrong> {
        if word.len() > WORD_BYTES_MAX {
            return self.wrong("a word is longer than is read; is a quote not closed?");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, Vec<String>, usize)> {
        let directives = parse(text, 0).unwrap().into_iter();
        directives.map(|d| (d.name, d.args, d.line)).collect()
    }

    fn wrong(text: &str) -> (usize, String) {
        let wrong = parse(text, 0).unwrap_err();
        (wrong.line, wrong.why)
    }

    #[test]
    fn words_quotes_comments_and_blocks() {
        let text = "# a comment; {\nuser www-data;\n\nexec ffmpeg -i \"a b\" 'c;d' e\\;f ${g}/h\n  \
                    -y;# more\nrtmp{server{listen 1935;}}\n";
        let found = parse(text, 0).unwrap();
        let words: Vec<&str> = found[1].args.iter().map(String::as_str).collect();
        assert_eq!(words, ["ffmpeg", "-i", "a b", "c;d", "e;f", "${g}/h", "-y"]);
        assert_eq!((found[0].line, found[1].line, found[2].line), (2, 4, 6));
        let server = &found[2].block.as_ref().unwrap()[0];
        let listen = &server.block.as_ref().unwrap()[0];
        assert_eq!(
            (listen.name.as_str(), listen.args[0].as_str()),
            ("listen", "1935")
        );
        assert_eq!(names(""), []);
        assert_eq!(names("\u{feff}a;"), [("a".into(), vec![], 1)]);
    }

    #[test]
    fn errors_have_their_line() {
        assert_eq!(wrong("a;\nb").0, 2);
        assert!(wrong("a;\nb\n}").1.contains("\"b\" is not ended"));
        assert_eq!(
            wrong("a {\n b;\n"),
            (3, "the file ends inside of a block".into())
        );
        assert_eq!(wrong("a;\n}\n"), (2, "a \"}\" too many".into()));
        assert_eq!(wrong("\n;").0, 2);
        assert!(wrong("a \"b\n").1.contains("quoted"));
        assert!(wrong("a \\").1.contains("backslash"));
    }

    #[test]
    fn bounds_hold() {
        let deep = "a{".repeat(DEPTH_MAX + 1);
        assert!(wrong(&deep).1.contains("blocks inside"));
        let long = format!("a {};", "x".repeat(WORD_BYTES_MAX + 1));
        assert!(wrong(&long).1.contains("longer"));
        let many = format!("a{};", " b".repeat(WORDS_MAX + 1));
        assert!(wrong(&many).1.contains("words"));
        assert!(
            wrong(&"a;".repeat(DIRECTIVES_MAX + 1))
                .1
                .contains("directives")
        );
    }
}

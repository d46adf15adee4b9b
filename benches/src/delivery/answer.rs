//! What an answer must be, checked as its bytes come.

use crate::Result;

/// Longest head of an answer that is taken.
const HEAD_BYTES_MAX: usize = 4096;

/// An answer that is being received.
#[derive(Debug, Default)]
pub struct Answer {
    /// The head, as long as it is not whole.
    head: Vec<u8>,
    /// Bytes of the body still to come, once the head is whole.
    left: Option<u64>,
}

impl Answer {
    /// Bytes of the body still to come; `None` while the head is not whole.
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// Whether it is whole.
    pub fn is_whole(&self) -> bool {
        self.left == Some(0)
    }

    /// Takes received bytes; returns how many of them are of the body. The head must be that
    /// of a 200 with a body of `length` bytes.
    pub fn take(&mut self, bytes: &[u8], length: u64) -> Result<u64> {
        let mut body = bytes.len() as u64;
        if self.left.is_none() {
            let kept = self.head.len();
            // Nearly every head comes in one piece, and is checked where it is.
            let all = if kept == 0 {
                bytes
            } else {
                self.head.extend_from_slice(bytes);
                &self.head
            };
            let Some(end) = find(all, b"\r\n\r\n") else {
                if all.len() > HEAD_BYTES_MAX {
                    return Err(format!("an answer's head of over {HEAD_BYTES_MAX} bytes"));
                }
                if kept == 0 {
                    self.head.extend_from_slice(bytes);
                }
                return Ok(0);
            };
            check(all.get(..end + 2).unwrap_or_default(), length)?;
            body = (all.len() - end - 4) as u64;
            self.head.clear();
            self.left = Some(length);
        }
        self.skip(body)?;
        Ok(body)
    }

    /// Takes `len` bytes of the body unseen.
    pub fn skip(&mut self, len: u64) -> Result<()> {
        let left = self.left.unwrap_or(0).checked_sub(len);
        self.left = Some(left.ok_or("more bytes than the answer's length")?);
        Ok(())
    }

    /// Forgets it: the next one is awaited.
    pub fn reset(&mut self) {
        self.left = None;
    }
}

fn check(head: &[u8], length: u64) -> Result<()> {
    let wrong = || format!("not what was asked for: {}", String::from_utf8_lossy(head));
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(wrong());
    }
    const FIELD: &[u8] = b"content-length:";
    let mut lines = head.split(|&byte| byte == b'\n');
    let field = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(FIELD.len())?;
        name.eq_ignore_ascii_case(FIELD).then_some(value)
    });
    let value = field.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
    if value == Some(length) {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nDate: x\r\ncontent-LENGTH: 5\r\n\r\n";

    #[test]
    fn an_answer_may_come_in_any_pieces() {
        let whole = [HEAD, b"hello"].concat();
        for cut in 0..whole.len() {
            let mut answer = Answer::default();
            let (a, b) = whole.split_at(cut);
            let first = if a.is_empty() {
                0
            } else {
                answer.take(a, 5).unwrap()
            };
            assert!(!answer.is_whole(), "at {cut}");
            assert_eq!(answer.left().is_some(), cut >= HEAD.len());
            assert_eq!(first + answer.take(b, 5).unwrap(), 5);
            assert!(answer.is_whole());
        }
    }

    #[test]
    fn a_body_may_be_skipped_and_the_next_answer_taken() {
        let mut answer = Answer::default();
        assert_eq!(answer.take(HEAD, 5).unwrap(), 0);
        answer.skip(5).unwrap();
        assert!(answer.is_whole());
        answer.reset();
        assert_eq!(answer.left(), None);
        assert_eq!(answer.take(HEAD, 5).unwrap(), 0);
        assert!(answer.skip(6).is_err());
    }

    #[test]
    fn other_answers_are_refused() {
        for head in [
            &b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
        ] {
            assert!(Answer::default().take(head, 5).is_err());
        }
        assert!(Answer::default().take(&[b'x'; 5000], 5).is_err());
    }
}

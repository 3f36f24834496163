//! Licence expressions: `MIT OR (Apache-2.0 WITH LLVM-exception AND ISC)`.

/// Licences that ask no more than to be named; none asks that other code be given away.
const ACCEPTED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];
const EXCEPTIONS: [&str; 1] = ["LLVM-exception"];
const DEPTH_MAX: usize = 16;

/// Whether the terms of `expression` can be met with accepted licences alone; what can't be read is not accepted.
pub fn accepted(expression: &str) -> bool {
    // Old manifests write `MIT/Apache-2.0` for OR.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, depth: 0 };
    reader.either() == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    depth: usize,
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn either(&mut self) -> Option<bool> {
        let mut accepted = self.both()?;
        while self.take("OR") {
            accepted |= self.both()?;
        }
        Some(accepted)
    }

    fn both(&mut self) -> Option<bool> {
        let mut accepted = self.one()?;
        while self.take("AND") {
            accepted &= self.one()?;
        }
        Some(accepted)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            self.depth += 1;
            let inside = (self.depth <= DEPTH_MAX).then(|| self.either())??;
            self.depth -= 1;
            return self.take(")").then_some(inside);
        }
        let (licence, rest) = self.words.split_first()?;
        self.words = rest;
        let known = ACCEPTED.contains(licence);
        if !self.take("WITH") {
            return Some(known);
        }
        let (exception, rest) = self.words.split_first()?;
        self.words = rest;
        Some(known && EXCEPTIONS.contains(exception))
    }
}

#[cfg(test)]
mod tests {
    use super::accepted;

    #[test]
    fn terms_that_can_be_met_are_accepted() {
        for expression in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
        ] {
            assert!(accepted(expression), "{expression}");
        }
    }

    #[test]
    fn terms_that_cannot_be_met_or_read_are_refused() {
        for expression in [
            "",
            "GPL-3.0-only",
            "MIT AND LGPL-2.1",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT MIT",
            "MIT WITH",
            "MIT WITH Some-exception",
            "MIT AND (GPL-2.0 OR AGPL-3.0)",
            &"(".repeat(100_000),
        ] {
            assert!(!accepted(expression), "{expression:.40}");
        }
    }
}

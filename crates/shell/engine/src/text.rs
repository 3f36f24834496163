//! Bytes of tokens to text that may be shown: whole characters only, and nothing that may turn out to be a stop string.

/// Puts characters together that tokens tore apart.
#[derive(Debug, Default)]
pub struct Utf8Joiner {
    torn: Vec<u8>,
}

impl Utf8Joiner {
    /// The text that is complete with `bytes`; what can never become a character turns into U+FFFD.
    ///
    /// An unfinished character at the very end stays in here and is dropped with the joiner.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.torn.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.torn.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.torn.clear();
                    return text;
                }
                Err(error) => {
                    let (whole, after) = rest.split_at(error.valid_up_to());
                    text.push_str(std::str::from_utf8(whole).expect("the error says that it is valid up to here"));
                    let Some(broken) = error.error_len() else {
                        self.torn = after.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[broken..];
                }
            }
        }
    }
}

/// Withholds text that may be the beginning of a stop string until that is decided.
#[derive(Debug)]
pub struct StopGate {
    stops: Vec<String>,
    held: String,
    closed: bool,
}

impl StopGate {
    /// A gate that closes at the first of `stops`; none of them may be empty.
    pub fn new(stops: Vec<String>) -> Self {
        debug_assert!(stops.iter().all(|stop| !stop.is_empty()), "an empty stop string would match everywhere");
        Self { stops, held: String::new(), closed: false }
    }

    /// The text that may go out with `text`; once a stop string is complete, all before it, and from then on nothing.
    ///
    /// The stop that ends first counts, of several that end together the longest: so it doesn't matter how the text was cut up.
    pub fn push(&mut self, text: &str) -> String {
        if self.closed {
            return String::new();
        }
        for character in text.chars() {
            self.held.push(character);
            let longest = self.stops.iter().filter(|stop| self.held.ends_with(stop.as_str())).map(String::len).max();
            if let Some(length) = longest {
                self.closed = true;
                self.held.truncate(self.held.len() - length);
                return std::mem::take(&mut self.held);
            }
        }
        let kept = self.held.split_off(self.held.len() - self.undecided());
        std::mem::replace(&mut self.held, kept)
    }

    /// Whether a stop string has been seen.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// What was withheld, now that nothing follows.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end that may be the beginning of a stop string.
    fn undecided(&self) -> usize {
        let begins = |stop: &String| {
            let cuts = stop.char_indices().map(|(at, _)| at).skip(1);
            cuts.filter(|&at| self.held.ends_with(&stop[..at])).max().unwrap_or(0)
        };
        self.stops.iter().map(begins).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `whole` in pieces that end at `cuts`, wherever these fall.
    fn pieces<'a>(whole: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        at.extend([0, whole.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect()
    }

    /// What a gate lets through when it is given the characters of `text` in those pieces.
    fn through(stops: &[String], text: &str, cuts: &[prop::sample::Index]) -> (String, bool) {
        let (mut joiner, mut gate, mut out) = (Utf8Joiner::default(), StopGate::new(stops.to_vec()), String::new());
        for piece in pieces(text.as_bytes(), cuts) {
            out += &gate.push(&joiner.push(piece));
            // Whatever came out must stay out: it may not hold a stop string at any time.
            assert!(stops.iter().all(|stop| !out.contains(stop.as_str())), "{out:?} holds one of {stops:?}");
        }
        let closed = gate.closed();
        if !closed {
            out += &gate.finish();
        }
        (out, closed)
    }

    /// The text before the stop that ends first, found the slow way.
    fn before_stop(stops: &[String], text: &str) -> (String, bool) {
        let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
        for end in ends {
            if let Some(length) = stops.iter().filter(|stop| text[..end].ends_with(stop.as_str())).map(String::len).max() {
                return (text[..end - length].to_owned(), true);
            }
        }
        (text.to_owned(), false)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn text_survives_any_cut(text in "\\PC{0,40}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let mut joiner = Utf8Joiner::default();
            let joined: String = pieces(text.as_bytes(), &cuts).into_iter().map(|piece| joiner.push(piece)).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn broken_bytes_are_replaced_as_in_one_piece(
            mut bytes in prop::collection::vec(any::<u8>(), 0..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            // An ASCII end decides every character before it.
            bytes.push(b'.');
            let mut joiner = Utf8Joiner::default();
            let joined: String = pieces(&bytes, &cuts).into_iter().map(|piece| joiner.push(piece)).collect();
            prop_assert_eq!(joined, String::from_utf8_lossy(&bytes).into_owned());
        }

        #[test]
        fn stops_close_the_gate_wherever_the_text_is_cut(
            text in "[abé]{0,24}",
            stops in prop::collection::vec("[abé]{1,4}", 0..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        ) {
            prop_assert_eq!(through(&stops, &text, &cuts), before_stop(&stops, &text));
        }
    }

    #[test]
    fn half_a_character_is_never_shown() {
        let mut joiner = Utf8Joiner::default();
        let whole = "€".as_bytes();
        assert_eq!([joiner.push(&whole[..1]), joiner.push(&whole[1..2]), joiner.push(&whole[2..])], ["", "", "€"]);
    }

    #[test]
    fn only_a_possible_stop_is_withheld() {
        let mut gate = StopGate::new(vec!["END".to_owned()]);
        assert_eq!([gate.push("the E"), gate.push("N"), gate.push("d is"), gate.finish()], ["the ", "", "ENd is", ""]);
        assert!(!gate.closed());
        assert_eq!([gate.push("the E"), gate.push("ND is")], ["the ", ""]);
        assert!(gate.closed());
    }
}

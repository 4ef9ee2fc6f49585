//! Which field a place of a scenario file belongs to: `faults[1].target` for a line and a column. It reads keys, dashes,
//! brackets and quotes, in block and flow style, and nothing else of YAML: the parser has given up when this is asked.

/// One step of the way down to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A mapping; the key is known once it was read.
    Key(Option<String>),
    /// A sequence, and how many items came before.
    Item(usize),
}

/// A step of block style and the column it stands in.
#[derive(Clone, Debug)]
struct Block {
    indentation: usize,
    step: Step,
}

/// The path of the field at a line and a column, both from 1 and counted in characters.
pub(super) fn field_at(text: &str, line: usize, column: usize) -> Option<String> {
    let mut scan = Scan::default();
    for (index, content) in text.lines().enumerate() {
        let content: Vec<char> = content.chars().collect();
        if index + 1 < line {
            scan.read_line(&content, None);
        } else {
            scan.read_line(&content, Some(column.saturating_sub(1)));
            return scan.path();
        }
    }
    None
}

/// Replaces the last name of a path: the parser reports a missing field at one of its siblings.
pub(super) fn sibling(path: &str, name: &str) -> String {
    match path.rsplit_once('.') {
        Some((parent, _)) => format!("{parent}.{name}"),
        None => name.to_owned(),
    }
}

#[derive(Default)]
struct Scan {
    blocks: Vec<Block>,
    flows: Vec<Step>,
    /// What was read of a key in flow style.
    word: String,
    quote: Option<char>,
}

impl Scan {
    /// Reads a line, up to a column if the place is on it.
    fn read_line(&mut self, line: &[char], until: Option<usize>) {
        let start = if self.flows.is_empty() && self.quote.is_none() { self.read_block(line) } else { 0 };
        let end = until.unwrap_or(line.len()).min(line.len());
        // A value that is no flow collection has no keys.
        if !self.flows.is_empty() || matches!(line.get(start), Some('{' | '[')) {
            for (index, character) in line.iter().enumerate().take(end).skip(start) {
                if *character == '#' && self.quote.is_none() && index > 0 && line[index - 1].is_whitespace() {
                    break;
                }
                self.read_flow(*character);
            }
        }
        if until.is_some() && start <= end {
            self.read_key_at(&line[end..]);
        }
    }

    /// Reads the dashes and the key that a line begins with, and says where its value begins.
    fn read_block(&mut self, line: &[char]) -> usize {
        if matches!(line, ['-', '-', '-', ..] | ['.', '.', '.', ..]) {
            // Another document begins.
            self.blocks.clear();
            return line.len();
        }
        let mut at = skip_spaces(line, 0);
        if at == line.len() || line[at] == '#' {
            return line.len();
        }
        while line[at] == '-' && line.get(at + 1).is_none_or(|next| *next == ' ') {
            self.enter_item(at);
            at = skip_spaces(line, at + 1);
            if at == line.len() {
                return at;
            }
        }
        let Some((key, after)) = key(&line[at..]) else { return at };
        while self.blocks.last().is_some_and(|block| block.indentation >= at) {
            self.blocks.pop();
        }
        self.blocks.push(Block { indentation: at, step: Step::Key(Some(key)) });
        skip_spaces(line, at + after)
    }

    fn enter_item(&mut self, indentation: usize) {
        while self.blocks.last().is_some_and(|block| block.indentation > indentation) {
            self.blocks.pop();
        }
        match self.blocks.last_mut() {
            Some(Block { indentation: same, step: Step::Item(count) }) if *same == indentation => *count += 1,
            _ => self.blocks.push(Block { indentation, step: Step::Item(0) }),
        }
    }

    fn read_flow(&mut self, character: char) {
        if let Some(quote) = self.quote {
            if character == quote {
                self.quote = None;
            } else {
                self.word.push(character);
            }
            return;
        }
        match character {
            '"' | '\'' => self.quote = Some(character),
            '{' => self.flows.push(Step::Key(None)),
            '[' => self.flows.push(Step::Item(0)),
            '}' | ']' => drop(self.flows.pop()),
            ':' => {
                if let Some(Step::Key(key)) = self.flows.last_mut() {
                    key.get_or_insert(self.word.trim().to_owned());
                }
            }
            ',' => match self.flows.last_mut() {
                Some(Step::Key(key)) => *key = None,
                Some(Step::Item(count)) => *count += 1,
                None => {}
            },
            other => {
                self.word.push(other);
                return;
            }
        }
        self.word.clear();
    }

    /// At the beginning of a key in flow style the key itself is the field.
    fn read_key_at(&mut self, rest: &[char]) {
        if let Some(Step::Key(key @ None)) = self.flows.last_mut() {
            let read = rest.iter().take_while(|c| !matches!(c, ':' | ',' | '{' | '}' | '[' | ']'));
            let word = format!("{}{}", self.word, read.collect::<String>());
            let word = word.trim().trim_matches(['"', '\'']);
            *key = (!word.is_empty()).then(|| word.to_owned());
        }
    }

    fn path(&self) -> Option<String> {
        let mut path = String::new();
        for step in self.blocks.iter().map(|block| &block.step).chain(&self.flows) {
            match step {
                Step::Key(Some(key)) if path.is_empty() => path.push_str(key),
                Step::Key(Some(key)) => path.push_str(&format!(".{key}")),
                Step::Key(None) => {}
                Step::Item(count) => path.push_str(&format!("[{count}]")),
            }
        }
        // A list instead of a scenario has items and no fields.
        (!path.is_empty() && !path.starts_with('[')).then_some(path)
    }
}

fn skip_spaces(line: &[char], from: usize) -> usize {
    line.iter().skip(from).position(|c| *c != ' ').map_or(line.len(), |spaces| from + spaces)
}

/// A plain or quoted key at the beginning of a text, and how many characters it takes with its colon.
fn key(text: &[char]) -> Option<(String, usize)> {
    let colon = text
        .iter()
        .enumerate()
        .position(|(index, c)| *c == ':' && text.get(index + 1).is_none_or(|next| next.is_whitespace()))?;
    let name: String = text[..colon].iter().collect();
    let name = name.trim().trim_matches(['"', '\'']);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!name.is_empty() && name.chars().all(plain)).then(|| (name.to_owned(), colon + 1))
}

#[cfg(test)]
mod tests {
    use super::{field_at, sibling};

    /// The field at each `^` in the line below a line.
    fn found(text: &str) -> Vec<String> {
        let mut yaml = Vec::new();
        let mut marks = Vec::new();
        for line in text.lines() {
            if line.trim_start().starts_with('^') {
                marks.push((yaml.len(), line.find('^').map_or(0, |at| at + 1)));
            } else {
                yaml.push(line);
            }
        }
        let yaml = yaml.join("\n");
        marks.into_iter().map(|(line, column)| field_at(&yaml, line, column).unwrap_or_default()).collect()
    }

    #[test]
    fn the_field_of_a_place_is_found_in_block_style() {
        let text = "name: x\nsubject:\n  cluster:\n    size: 4\n          ^\nfaults:\n  - at: 1s\n        ^\n    kind: a\n          ^\n  # two\n  - at: 2s\n    when:\n      within: 3s\n              ^\nload:\n  mix: {}\n       ^\n";
        assert_eq!(
            found(text),
            ["subject.cluster.size", "faults[0].at", "faults[0].kind", "faults[1].when.within", "load.mix"]
        );
    }

    #[test]
    fn a_sequence_may_stand_as_far_left_as_its_key() {
        assert_eq!(
            found("faults:\n- at: 1s\n- kind: x\n  at: 3s\n      ^\nload: 3\n      ^\n"),
            ["faults[1].at", "load"]
        );
    }

    #[test]
    fn flow_style_counts_like_block_style() {
        let text = "subject: {cluster: {size: 3}, selector: 4}\n                                        ^\nfaults:\n  - {at: 1s, kind: a}\n  - {at: 1s, kind: b, when: {event: x}}\n                                   ^\n  - {at: 1s, victim: b}\n             ^\n  - at: 1s\n    kind: [1, {a: 2}]\n                  ^\n";
        assert_eq!(
            found(text),
            ["subject.selector", "faults[1].when.event", "faults[2].victim", "faults[3].kind[1].a"]
        );
    }

    #[test]
    fn a_flow_collection_may_span_lines_and_hide_signs_in_quotes() {
        let text = "load: {clients: \"a, {b\", # c: {\n  keys: x}\n        ^\nseed: y\n      ^\n";
        assert_eq!(found(text), ["load.keys", "seed"]);
    }

    #[test]
    fn a_missing_field_is_named_beside_its_siblings() {
        assert_eq!(sibling("subject.cluster.version", "size"), "subject.cluster.size");
        assert_eq!(sibling("faults", "name"), "name");
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in ["", "-", "- -", ":", "{", "}}", "a: {", "\"", "- {]:,", "é: [ü, {ß: x}]", "\t- a: b"]
        {
            for line in 0..4 {
                for column in 0..16 {
                    let _ = field_at(text, line, column);
                }
            }
        }
    }
}

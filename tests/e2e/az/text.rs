//! The command lines of `az` in a text: in a shell's commands, in a document, in what the program prints.

/// What a file says to somebody: of a document its code, of a Rust file the texts that it prints and the code in its
/// comments, of anything else all but comments. The parts are in lines of their own.
pub fn spoken(name: &str, text: &str) -> String {
    match name.rsplit('.').next() {
        Some("md") => code(text),
        Some("rs") => {
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let comments: String = lines(text, |line| line.starts_with("//"));
            let comments = comments.replace("//!", "   ").replace("///", "   ").replace('\n', " ");
            literals(&lines(text, |line| !line.starts_with("//"))) + &code(&comments)
        }
        Some("json") => text.replace("\\\"", "\"").replace("\\n", "\n"),
        _ => lines(text, |line| !line.starts_with('#')).replace("\\\n", " "),
    }
}

fn lines(text: &str, keep: fn(&str) -> bool) -> String {
    text.lines().filter(|line| keep(line.trim_start())).flat_map(|line| [line, "\n"]).collect()
}

/// What stands between backticks, and in blocks of commands.
fn code(text: &str) -> String {
    let mut found = String::new();
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 1 {
            found += part;
            found.push('\n');
        } else {
            let part = part.replace('\n', " ");
            found.extend(part.split('`').skip(1).step_by(2).flat_map(|span| [span, "\n"]));
        }
    }
    found
}

/// The string literals of Rust code, each in lines of its own, as they are printed.
fn literals(code: &str) -> String {
    let mut found = String::new();
    let mut rest = code.replace("'\"'", "' '").replace("'\\\"'", "' '");
    while let Some((_, after)) = rest.split_once('"') {
        let mut letters = after.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => match letters.next() {
                    // The line goes on where the next one begins.
                    Some('\n') => letters = letters.as_str().trim_start().chars(),
                    Some('n') => found.push('\n'),
                    Some(escaped) => found.push(escaped),
                    None => {}
                },
                _ => found.push(letter),
            }
        }
        found.push('\n');
        rest = letters.as_str().to_owned();
    }
    found.replace("{{", "{").replace("}}", "}")
}

/// A word of a command line, and whether a shell would look for files by it.
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub is_pattern: bool,
}

/// The words of each command line of `az` in what is spoken, without `az`. No command is named by `az …`, by a script
/// that hands on its own words, and by one that looks whether `az` is there.
pub fn command_lines(spoken: &str) -> Vec<Vec<Word>> {
    let begins = |at: usize| {
        let before = spoken[..at].chars().next_back();
        before.is_none_or(|letter| letter.is_whitespace() || "(`\"'|".contains(letter))
    };
    let found = spoken.match_indices("az ").filter(|(at, _)| begins(*at));
    let lines = found.map(|(at, name)| words(&spoken[at + name.len()..]));
    let names_one = |words: &Vec<Word>| {
        words.first().is_some_and(|word| !word.text.starts_with('…') && !word.text.starts_with("\"$"))
    };
    lines.filter(names_one).collect()
}

/// The words up to where the command line ends: at what ends one for a shell, or a sentence around it.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    loop {
        let (length, is_pattern) = word(rest);
        let text = rest[..length].trim_end_matches([':', ',', '.']);
        // 2> is where the shell sends what is complained of.
        let is_stream = rest[length..].starts_with('>') && text.chars().all(|c| c.is_ascii_digit());
        if !text.is_empty() && !is_stream {
            words.push(Word { text: text.to_owned(), is_pattern });
        }
        if text.len() < length || !rest[length..].starts_with(' ') {
            return words;
        }
        rest = rest[length..].trim_start_matches(' ');
    }
}

/// How long the first word of `text` is, and whether it has a pattern outside of quotes.
fn word(text: &str) -> (usize, bool) {
    let (mut quote, mut depth, mut is_pattern) = (None, 0_u32, false);
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            // Within $(…) the quotes around it do not end.
            (Some('"'), '(') if before == '$' || depth > 0 => depth += 1,
            (Some('"'), ')') if depth > 0 => depth -= 1,
            (Some(open), _) if letter == open && depth == 0 => quote = None,
            (None, '"' | '\'') if at == 0 || before == '=' => quote = Some(letter),
            (None, ' ' | '\n' | '|' | '&' | ';' | ')' | '>' | '<' | '`' | '"' | '\'') => {
                return (at, is_pattern);
            }
            (None, '?' | '*' | '[') => is_pattern = true,
            _ => {}
        }
        before = letter;
    }
    (text.len(), is_pattern)
}

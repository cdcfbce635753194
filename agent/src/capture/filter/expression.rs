//! Where in an expression libpcap's complaint belongs: its messages have no position.

/// What makes a filter of the beginning of one, whatever it broke off after.
const COMPLETIONS: [&str; 10] = [
    "",
    " greater 0",
    " 1",
    " 192.0.2.1",
    " 192.0.2.0/24",
    " 00:00:5e:00:53:01",
    " port 1",
    " host 192.0.2.1",
    " = 0",
    "0] = 0",
];

/// Words looked at; an expression that is longer gets no column.
const MAX_WORDS: usize = 200;

/// Column, from 1 in characters, of the word that `reason` is about: the one that it quotes,
/// else the first word with which no filter can begin, which `compiles` finds out.
pub(super) fn column(
    expression: &str,
    reason: &str,
    compiles: impl Fn(&str) -> bool,
) -> Option<usize> {
    let byte = match quoted(reason).and_then(|word| find_word(expression, word)) {
        Some(byte) => byte,
        None if reason.contains("syntax error") => first_wrong(expression, compiles)?,
        None => return None,
    };
    expression
        .get(..byte)
        .map(|before| before.chars().count() + 1)
}

fn quoted(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once(['\'', '"', '`'])?;
    let end = rest.find(['\'', '"'])?;
    rest.get(..end).filter(|word| !word.is_empty())
}

/// Where `word` stands in `expression` as a word of its own.
fn find_word(expression: &str, word: &str) -> Option<usize> {
    let places = words(expression);
    places
        .into_iter()
        .find(|(start, end)| expression.get(*start..*end) == Some(word))
        .map(|(start, _)| start)
        .or_else(|| expression.find(word))
}

fn first_wrong(expression: &str, compiles: impl Fn(&str) -> bool) -> Option<usize> {
    let places = words(expression);
    if places.len() > MAX_WORDS {
        return None;
    }
    let wrong = places.iter().find(|(_, end)| {
        let beginning = expression.get(..*end).unwrap_or_default();
        let count = |c| beginning.matches(c).count();
        let close = ")".repeat(count('(').saturating_sub(count(')')));
        !COMPLETIONS
            .iter()
            .any(|completion| compiles(&format!("{beginning}{completion}{close}")))
    });
    // Every beginning can go on: what is missing, is missing at the end.
    Some(wrong.map_or(expression.len(), |(start, _)| *start))
}

/// Byte ranges of words: runs without white space or parentheses, and single parentheses.
fn words(expression: &str) -> Vec<(usize, usize)> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    let mut open = false;
    for (at, c) in expression.char_indices() {
        let end = at + c.len_utf8();
        let single = matches!(c, '(' | ')');
        if c.is_whitespace() {
            open = false;
        } else if open && !single {
            if let Some(last) = words.last_mut() {
                last.1 = end;
            }
        } else {
            words.push((at, end));
            open = !single;
        }
    }
    words
}

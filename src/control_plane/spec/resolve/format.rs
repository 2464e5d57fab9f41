//! The formats that are rules. All others are notes to the reader.

/// Whether a text has the form of this format, and what that form is called.
pub(super) fn broken(format: &str, text: &str) -> Option<&'static str> {
    match format {
        "date" if !is_date(text) => Some("a date such as 2024-02-29"),
        "uuid" if !is_uuid(text) => Some("a UUID"),
        _ => None,
    }
}

/// RFC 3339's `full-date`.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits_at = |places: &[usize]| places.iter().all(|at| bytes[*at].is_ascii_digit());
    if bytes.len() != 10
        || bytes[4] != b'-'
        || bytes[7] != b'-'
        || !digits_at(&[0, 1, 2, 3, 5, 6, 8, 9])
    {
        return false;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap_or_default();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

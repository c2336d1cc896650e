//! Comma-, tab- or semicolon-separated text.

use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::{
    Header, Note, Place, Problem, Selection, Table,
    layout::{Cell, Layout},
};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads text whose first bytes are `sample`; `whole` gives all of it, the sample included.
///
/// A blank line is not a row. Cells are trimmed; quotes follow RFC 4180.
pub(super) fn read(
    sample: &[u8],
    mut whole: impl Read,
    selection: &Selection,
) -> Result<Table, Problem> {
    let text = sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(sample);
    io::copy(&mut whole.by_ref().take((sample.len() - text.len()) as u64), &mut io::sink())
        .map_err(Problem::Read)?;
    let delimiter = delimiter(text);
    let terminator = terminator(text);
    let line_end = [terminator];
    // The extra line end makes the last line like all others; a blank line is no row.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(Terminator::Any(terminator))
        .buffer_capacity(256 << 10)
        .from_reader(whole.chain(&line_end[..]));
    let mut lines = 0;
    let mut next = |record: &mut ByteRecord| loop {
        match reader.read_byte_record(record) {
            Err(error) => return Err(Problem::Read(into_io(error))),
            Ok(false) => return Ok(None),
            Ok(true) => {
                lines += 1;
                let blank = record.len() == 1 && record[0].trim_ascii().is_empty();
                // The reader stands behind the line end, and counts line feeds only.
                let line = if terminator == b'\n' { reader.position().line() - 1 } else { lines };
                if !blank {
                    return Ok(Some(Place::Line(line)));
                }
            }
        }
    };
    let mut record = ByteRecord::new();
    let Some(mut place) = next(&mut record)? else { return Err(Problem::Empty) };
    let expected = record.len();
    let has_names = match selection.header {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => record.iter().any(|cell| matches!(parse(cell), Cell::Text(_))),
    };
    let (names, notes) =
        if has_names { header(&record, place)? } else { (numbered(expected), Vec::new()) };
    let mut layout = Layout::new(names, has_names, selection)?;
    if selection.header == Header::Detect {
        for note in notes {
            layout.note(note);
        }
    }
    let mut more = if has_names { next(&mut record)? } else { Some(place) };
    while let Some(at) = more {
        place = at;
        if record.len() != expected {
            let (found, delimiter) = (record.len(), char::from(delimiter));
            return Err(Problem::Ragged { place, found, expected, delimiter });
        }
        layout.push(place, record.iter(), parse, <[u8]>::trim_ascii)?;
        more = next(&mut record)?;
    }
    layout.finish()
}

/// What a cell says.
fn parse(cell: &[u8]) -> Cell<'_> {
    let cell = cell.trim_ascii();
    match str::from_utf8(cell).ok().and_then(|text| text.parse::<f64>().ok()) {
        Some(value) if value.is_nan() => Cell::Missing,
        Some(value) => Cell::Number(value),
        None if cell.is_empty() || cell.eq_ignore_ascii_case(b"na") => Cell::Missing,
        None => Cell::Text(cell),
    }
}

/// Column names and what is odd about them.
fn header(record: &ByteRecord, place: Place) -> Result<(Vec<String>, Vec<Note>), Problem> {
    let mut names = Vec::with_capacity(record.len());
    let mut notes = Vec::new();
    for (at, cell) in record.iter().enumerate() {
        let text = str::from_utf8(cell.trim_ascii()).map_err(|_| Problem::NotUtf8 { place })?;
        if let Cell::Number(_) = parse(cell) {
            notes.push(Note::NumberInHeader(text.into()));
        }
        if text.is_empty() {
            names.push(numbered_name(at));
            notes.push(Note::Unnamed(numbered_name(at)));
        } else {
            names.push(text.into());
        }
    }
    Ok((names, notes))
}

/// `x1`, `x2`, …: names for columns that have none.
pub(super) fn numbered(columns: usize) -> Vec<String> {
    (0..columns).map(numbered_name).collect()
}

fn numbered_name(at: usize) -> String {
    format!("x{}", at + 1)
}

/// The byte that separates cells: the first of tab, semicolon and comma that stands equally often,
/// outside quotes, in each of the first lines; else the most frequent one of the first line.
fn delimiter(text: &[u8]) -> u8 {
    const CANDIDATES: [u8; 3] = [b'\t', b';', b','];
    const LINES: usize = 20;
    let mut counts = vec![[0_usize; 3]];
    let mut quoted = false;
    for &byte in text {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted && counts[counts.len() - 1] != [0; 3] => counts.push([0; 3]),
            _ if quoted => {}
            _ => {
                if let Some(which) = CANDIDATES.iter().position(|&candidate| candidate == byte) {
                    let last = counts.len() - 1;
                    counts[last][which] += 1;
                }
            }
        }
        if counts.len() > LINES {
            break;
        }
    }
    if counts.len() > 1 {
        counts.pop(); // the last line may be cut short, or has not begun
    }
    let first = counts[0];
    let steady = |which: &usize| {
        first[*which] > 0 && counts.iter().all(|line| line[*which] == first[*which])
    };
    let frequent = || (0..3).max_by_key(|&which| (first[which], which)).expect("three candidates");
    CANDIDATES[(0..3).find(steady).unwrap_or_else(frequent)]
}

/// The byte that ends lines: a line feed, or a carriage return where there is no line feed.
fn terminator(text: &[u8]) -> u8 {
    if text.contains(&b'\r') && !text.contains(&b'\n') { b'\r' } else { b'\n' }
}

fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

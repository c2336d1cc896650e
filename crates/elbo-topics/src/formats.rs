//! Files of counts: UCI bag-of-words, LDA-C, Matrix Market, and words by line.
//!
//! Readers take anything that is read line by line, so that files, sockets and memory serve alike.

use std::{fmt::Display, io::BufRead, str::FromStr};

use crate::{Corpus, CorpusError, Vocabulary};

/// Reads LDA-C: a line for each document, `n word:count …` with `n` pairs, words from 0.
///
/// The vocabulary has `vocabulary_size` words, or as many as the largest word says.
///
/// # Errors
///
/// [`CorpusError`], naming the line.
///
/// ```
/// let corpus = elbo_topics::read_lda_c("2 0:2 2:1\n1 1:4\n".as_bytes(), None)?;
/// assert_eq!((corpus.len(), corpus.words()), (2, 3));
/// # Ok::<(), elbo_topics::CorpusError>(())
/// ```
pub fn read_lda_c(
    reader: impl BufRead,
    vocabulary_size: Option<usize>,
) -> Result<Corpus, CorpusError> {
    let mut documents = Vec::new();
    for_each_line(reader, |line, text| {
        let mut fields = text.split_ascii_whitespace();
        let announced: usize = number(line, fields.next(), "the number of pairs")?;
        let mut document = Vec::with_capacity(announced.min(text.len()));
        for field in fields {
            let Some((word, count)) = field.split_once(':') else {
                return Err(wrong(line, format!("{field:?} is no word:count")));
            };
            let word = number::<u32>(line, Some(word), "a word")?;
            document.push((word, count_of(line, Some(count))?));
        }
        if document.len() != announced {
            let found = document.len();
            return Err(wrong(line, format!("{announced} pairs are announced, {found} follow")));
        }
        documents.push((line, document));
        Ok(())
    })?;
    let words = documents.iter().flat_map(|(_, document)| document.iter().map(|pair| pair.0));
    let size = vocabulary_size.unwrap_or_else(|| words.max().map_or(1, |word| word as usize + 1));
    let mut corpus = Corpus::new(size)?;
    for (line, document) in documents {
        corpus.push(document).map_err(|error| wrong(line, error))?;
    }
    Ok(corpus)
}

/// Reads the bag-of-words format of the UCI repository: lines with the number of documents, of words and of pairs, then a line
/// `document word count` for each pair, both from 1, documents in increasing order.
///
/// # Errors
///
/// [`CorpusError`], naming the line.
pub fn read_uci(reader: impl BufRead) -> Result<Corpus, CorpusError> {
    let mut sizes = Vec::with_capacity(3);
    let mut pairs = Pairs::default();
    for_each_line(reader, |line, text| {
        if text.trim().is_empty() {
            return Ok(());
        }
        if sizes.len() < 3 {
            sizes.push(number::<usize>(line, Some(text.trim()), "a size")?);
            return Ok(());
        }
        pairs.read(line, text, sizes[0], sizes[1])
    })?;
    let [documents, words, announced] = sizes[..] else {
        return Err(wrong(
            sizes.len(),
            "documents, words and pairs must be counted in three lines",
        ));
    };
    pairs.into_corpus(documents, words, announced)
}

/// Reads a coordinate matrix of the Matrix Market, documents in rows and words in columns, entries in any order. The field may
/// be `integer`, `real` or `pattern`, which counts every entry once; the symmetry is `general`.
///
/// # Errors
///
/// [`CorpusError`], naming the line.
pub fn read_matrix_market(reader: impl BufRead) -> Result<Corpus, CorpusError> {
    let mut sizes = None;
    let mut pairs = Pairs::default();
    for_each_line(reader, |line, text| {
        if line == 0 {
            return pairs.read_banner(text);
        }
        let text = text.trim();
        if text.is_empty() || text.starts_with('%') {
            return Ok(());
        }
        let Some((documents, words, _)) = sizes else {
            let mut fields = text.split_ascii_whitespace();
            let mut size = |what| number::<usize>(line, fields.next(), what);
            sizes = Some((
                size("the number of rows")?,
                size("the number of columns")?,
                size("the number of entries")?,
            ));
            return Ok(());
        };
        pairs.read(line, text, documents, words)
    })?;
    let (documents, words, announced) =
        sizes.ok_or_else(|| wrong(0, "a line with rows, columns and entries is needed"))?;
    pairs.into_corpus(documents, words, announced)
}

/// Reads a document from each line, as words between white space, and their vocabulary in the order of first occurrence.
///
/// Nothing is folded or left out; text as people write it is for the feature `text`.
///
/// # Errors
///
/// [`CorpusError`], naming the line; [`CorpusError::Size`] if there is no word at all.
///
/// ```
/// let (corpus, vocabulary) = elbo_topics::read_lines("to be or not to be\nto do\n".as_bytes())?;
/// assert_eq!((corpus.len(), corpus.tokens(), vocabulary.name(1)), (2, 8.0, "be"));
/// # Ok::<(), elbo_topics::CorpusError>(())
/// ```
pub fn read_lines(reader: impl BufRead) -> Result<(Corpus, Vocabulary), CorpusError> {
    let mut vocabulary = Vocabulary::new();
    let mut documents: Vec<Vec<u32>> = Vec::new();
    for_each_line(reader, |_, text| {
        let numbers = text.split_whitespace().map(|word| vocabulary.learn(word));
        documents.push(numbers.collect::<Result<_, _>>()?);
        Ok(())
    })?;
    let corpus = Corpus::from_tokens(vocabulary.len(), documents.iter().map(Vec::as_slice))?;
    Ok((corpus, vocabulary))
}

/// Reads a vocabulary: a word from each line.
///
/// # Errors
///
/// [`CorpusError`], naming the line of a word that comes twice.
pub fn read_vocabulary(reader: impl BufRead) -> Result<Vocabulary, CorpusError> {
    let mut names: Vec<String> = Vec::new();
    for_each_line(reader, |_, text| {
        names.push(text.trim().to_owned());
        Ok(())
    })?;
    Vocabulary::from_names(names)
}

/// Entries of a matrix as they are read, and the line of each.
#[derive(Default)]
struct Pairs {
    entries: Vec<(usize, u32, f64, usize)>,
    is_pattern: bool,
}

impl Pairs {
    fn read_banner(&mut self, text: &str) -> Result<(), CorpusError> {
        let banner = text.to_ascii_lowercase();
        let fields: Vec<&str> = banner.split_ascii_whitespace().collect();
        match fields[..] {
            ["%%matrixmarket", "matrix", "coordinate", "integer" | "real", "general"] => Ok(()),
            ["%%matrixmarket", "matrix", "coordinate", "pattern", "general"] => {
                self.is_pattern = true;
                Ok(())
            }
            _ => Err(wrong(
                0,
                "%%MatrixMarket matrix coordinate integer|real|pattern general is expected",
            )),
        }
    }

    fn read(
        &mut self,
        line: usize,
        text: &str,
        documents: usize,
        words: usize,
    ) -> Result<(), CorpusError> {
        let mut fields = text.split_ascii_whitespace();
        let document: usize = number(line, fields.next(), "a document")?;
        let word: usize = number(line, fields.next(), "a word")?;
        let count = if self.is_pattern { 1.0 } else { count_of(line, fields.next())? };
        if let Some(more) = fields.next() {
            return Err(wrong(line, format!("{more:?} is one field too many")));
        }
        if document == 0 || document > documents {
            return Err(wrong(line, format!("document {document} is not in 1 to {documents}")));
        }
        match u32::try_from(word) {
            Ok(number) if number > 0 && word <= words => {
                self.entries.push((document - 1, number - 1, count, line));
                Ok(())
            }
            _ => Err(wrong(line, format!("word {word} is not in 1 to {words}"))),
        }
    }

    fn into_corpus(
        mut self,
        documents: usize,
        words: usize,
        announced: usize,
    ) -> Result<Corpus, CorpusError> {
        if self.entries.len() != announced {
            let (found, line) = (self.entries.len(), self.entries.last().map_or(0, |e| e.3));
            return Err(wrong(line, format!("{announced} entries are announced, {found} follow")));
        }
        self.entries.sort_by_key(|(document, ..)| *document);
        let mut corpus = Corpus::new(words)?;
        let mut rest = self.entries.as_slice();
        for d in 0..documents {
            let (own, others) = rest.split_at(rest.partition_point(|entry| entry.0 == d));
            let line = own.first().map_or(0, |entry| entry.3);
            corpus
                .push(own.iter().map(|(_, word, count, _)| (*word, *count)))
                .map_err(|error| wrong(line, error))?;
            rest = others;
        }
        Ok(corpus)
    }
}

/// Calls `see` with every line, without its end.
pub(crate) fn for_each_line(
    mut reader: impl BufRead,
    mut see: impl FnMut(usize, &str) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let mut text = String::new();
    for line in 0.. {
        text.clear();
        match reader.read_line(&mut text) {
            Ok(0) => break,
            Ok(_) => see(line, text.trim_end_matches(['\n', '\r']))?,
            Err(error) => return Err(CorpusError::Read { line, why: error.to_string() }),
        }
    }
    Ok(())
}

fn wrong(line: usize, what: impl Display) -> CorpusError {
    CorpusError::Line { line, what: what.to_string() }
}

fn number<T: FromStr>(line: usize, field: Option<&str>, what: &str) -> Result<T, CorpusError> {
    let Some(field) = field else {
        return Err(wrong(line, format!("{what} is missing")));
    };
    field
        .parse()
        .map_err(|_| wrong(line, format!("{field:?} is not {what}, a whole number from 0")))
}

fn count_of(line: usize, field: Option<&str>) -> Result<f64, CorpusError> {
    let Some(field) = field else {
        return Err(wrong(line, "a count is missing"));
    };
    match field.parse() {
        Ok(count) if count > 0.0 && count <= f64::from(f32::MAX) => Ok(count),
        _ => Err(wrong(line, format!("{field:?} is no count, a number above 0"))),
    }
}

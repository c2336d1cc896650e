//! Corpora and the formats they are read from.

use elbo_topics::{
    Batch, Corpus, CorpusError, Vocabulary, read_lda_c, read_lines, read_matrix_market, read_uci,
    read_vocabulary,
};
use proptest::prelude::*;

fn pairs(corpus: &Corpus) -> Vec<Vec<(u32, f32)>> {
    let document = |(words, counts): (&[u32], &[f32])| {
        words.iter().copied().zip(counts.iter().copied()).collect::<Vec<_>>()
    };
    corpus.documents().iter().map(document).collect()
}

proptest! {
    #[test]
    fn all_formats_say_the_same(rows in prop::collection::vec(prop::collection::vec(0_u8..4, 5), 1..6)) {
        let entries: Vec<(usize, usize, u8)> = rows
            .iter()
            .enumerate()
            .flat_map(|(d, row)| row.iter().enumerate().map(move |(w, n)| (d, w, *n)))
            .filter(|entry| entry.2 > 0)
            .collect();
        let documents = rows.iter().map(|row| {
            (0_u32..).zip(row).filter(|(_, n)| **n > 0).map(|(w, n)| (w, f64::from(*n))).collect::<Vec<_>>()
        });
        let expected = Corpus::from_documents(5, documents).unwrap();

        let row_line = |row: &Vec<u8>| {
            let fields: Vec<String> = row.iter().enumerate().filter(|(_, n)| **n > 0)
                .map(|(w, n)| format!(" {w}:{n}")).collect();
            format!("{}{}", fields.len(), fields.concat())
        };
        let lda_c = rows.iter().map(row_line).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(&read_lda_c(lda_c.as_bytes(), Some(5)).unwrap(), &expected);

        let mut lines: Vec<String> =
            entries.iter().map(|(d, w, n)| format!("{} {} {n}", d + 1, w + 1)).collect();
        let uci = format!("{}\n5\n{}\n{}", rows.len(), entries.len(), lines.join("\n"));
        prop_assert_eq!(&read_uci(uci.as_bytes()).unwrap(), &expected);

        lines.reverse();
        let market = format!("%%MatrixMarket matrix coordinate integer general\n% a comment\n{} 5 {}\n{}",
            rows.len(), entries.len(), lines.join("\n"));
        prop_assert_eq!(&read_matrix_market(market.as_bytes()).unwrap(), &expected);

        let total: f64 = entries.iter().map(|entry| f64::from(entry.2)).sum();
        prop_assert!((expected.tokens() - total).abs() < 1e-9);
    }
}

#[test]
fn words_add_up_in_any_order() {
    let corpus = Corpus::from_documents(4, [vec![(3, 1.0), (0, 2.0), (3, 0.5)], vec![]]).unwrap();
    assert_eq!(pairs(&corpus), [vec![(0, 2.0), (3, 1.5)], vec![]]);
    assert_eq!(corpus.word_counts(), [2.0, 0.0, 0.0, 1.5]);
    assert_eq!(corpus.document_frequencies(), [1, 0, 0, 1]);
    let documents = corpus.documents().slice(1..2);
    assert_eq!((documents.len(), documents.pairs(), documents.observations()), (1, 0, 0.0));
}

#[test]
fn filtering_keeps_documents_and_names() {
    let (corpus, vocabulary) = read_lines("a b c\nb c\nc d d\n".as_bytes()).unwrap();
    let frequencies = corpus.document_frequencies();
    let (fewer, kept) = corpus.filter_words(|word| frequencies[word as usize] > 1).unwrap();
    assert_eq!(vocabulary.select(&kept).names(), ["b", "c"]);
    assert_eq!(pairs(&fewer), [vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0), (1, 1.0)], vec![(1, 1.0)]]);
    assert_eq!(corpus.filter_words(|_| false), Err(CorpusError::Size { size: 0 }));
}

#[test]
fn what_is_wrong_is_named() {
    let mut corpus = Corpus::from_documents(2, [vec![(0, 1.0)]]).unwrap();
    let before = corpus.clone();
    assert_eq!(
        corpus.push([(1, 1.0), (2, 1.0)]),
        Err(CorpusError::Word { document: 1, word: 2, size: 2 })
    );
    for count in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            corpus.push([(1, count)]),
            Err(CorpusError::Count { document: 1, word: 1, .. })
        ));
    }
    assert!(corpus.push([(1, 1e-60)]).is_err());
    assert_eq!(corpus, before);
    assert_eq!(Corpus::new(0), Err(CorpusError::Size { size: 0 }));

    let message = |error: CorpusError| error.to_string();
    let lda_c = |text: &str| message(read_lda_c(text.as_bytes(), Some(3)).unwrap_err());
    assert_eq!(lda_c("1 0:1\n2 0:1\n"), "line 2: 2 pairs are announced, 1 follow");
    assert_eq!(lda_c("1 x:1\n"), "line 1: \"x\" is not a word, a whole number from 0");
    assert_eq!(lda_c("1 0:-1\n"), "line 1: \"-1\" is no count, a number above 0");
    assert!(lda_c("1 0:1\n1 3:1\n").starts_with("line 2: document 1 has word 3"));
    assert_eq!(lda_c("1 0\n"), "line 1: \"0\" is no word:count");
    assert_eq!(lda_c("\n"), "line 1: the number of pairs is missing");

    let uci = |text: &str| message(read_uci(text.as_bytes()).unwrap_err());
    assert_eq!(uci("1\n2\n1\n1 3 1\n"), "line 4: word 3 is not in 1 to 2");
    assert_eq!(uci("1\n2\n1\n2 1 1\n"), "line 4: document 2 is not in 1 to 1");
    assert_eq!(uci("1\n2\n2\n1 1 1\n"), "line 4: 2 entries are announced, 1 follow");
    assert_eq!(uci("1\n2\n1\n1 1 1 9\n"), "line 4: \"9\" is one field too many");
    assert!(uci("1\n").starts_with("line 2: "));

    let market = |text: &str| message(read_matrix_market(text.as_bytes()).unwrap_err());
    assert!(market("%%MatrixMarket matrix array real general\n").starts_with("line 1: "));
    assert_eq!(
        Vocabulary::from_names(["a", "b", "a"]),
        Err(CorpusError::Duplicate { name: "a".into(), first: 0, second: 2 })
    );
    assert!(read_vocabulary("x\ny\nx\n".as_bytes()).is_err());
    assert!(matches!(read_lines(&b"ab\xff\n"[..]), Err(CorpusError::Read { line: 0, .. })));
}

#[test]
fn a_pattern_counts_every_entry_once() {
    let text = "%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 2\n2 3\n";
    let corpus = read_matrix_market(text.as_bytes()).unwrap();
    assert_eq!(pairs(&corpus), [vec![(1, 1.0)], vec![(2, 1.0)]]);
}

//! Readers against the files that people really have.

use std::io::Write;

use npyz::WriterBuilder;

use super::*;

fn text(bytes: impl AsRef<[u8]>) -> Result<Table, Problem> {
    read_from(bytes.as_ref(), &Selection::default())
}

fn with(bytes: &str, change: impl Fn(&mut Selection)) -> Result<Table, Problem> {
    let mut selection = Selection::default();
    change(&mut selection);
    read_from(bytes.as_bytes(), &selection)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(Into::into).collect()
}

/// Equal, with every `NaN` like every other.
#[track_caller]
fn assert_values(table: &Table, expected: &[f64]) {
    assert_eq!(table.values.len(), expected.len(), "{:?}", table.values);
    for (at, (x, y)) in table.values.iter().zip(expected).enumerate() {
        assert!(
            x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan(),
            "value {at}: {x} is not {y}"
        );
    }
}

#[track_caller]
fn message(result: Result<Table, Problem>) -> String {
    let message = result.expect_err("must be refused").to_string();
    assert!(!message.contains('\n'), "one line: {message:?}");
    message
}

#[test]
fn header_and_delimiter_are_detected() {
    for file in [
        "a,b\n1,2\n3,4\n",
        "a\tb\n1\t2\n3\t4",
        "a;b\r\n1;2\r\n3;4\r\n",
        "\u{feff}\"a\",\"b\"\n1,2\n\n3,4\n\n",
        "a,b\r1,2\r3,4\r",
        " a , b \n 1 ,2\n3,\t4\n",
        "\"a\",\"b\"\n\"1\",\"2\"\n\"3\",\"4\"",
    ] {
        let table = text(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        assert_eq!(table.columns, ["a", "b"], "{file:?}");
        assert_values(&table, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(table.notes, []);
    }
}

#[test]
fn without_a_header_columns_are_numbered() {
    let table = text("1;2;3\n4;5;6\n").unwrap();
    assert_eq!(table.columns, ["x1", "x2", "x3"]);
    assert_eq!((table.n(), table.d()), (2, 3));
    assert_eq!(table.place(1), Place::Line(2));
}

#[test]
fn quoted_names_may_hold_the_delimiter_and_line_ends() {
    let table = text("\"time; s, local\",\"b\nc\"\n1,2\n\"3\",\"4\"\n").unwrap();
    assert_eq!(table.columns, ["time; s, local", "b\nc"]);
    assert_values(&table, &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!([table.place(0), table.place(1)], [Place::Line(3), Place::Line(4)]);
}

#[test]
fn missing_has_many_spellings() {
    let table = text("a,b\n,1\nNA,2\nnan,3\nNaN,4\n na ,5\n\"\",6\n").unwrap();
    let nan = f64::NAN;
    assert!(table.columns == ["b"], "a holds no number: {:?}", table.columns);
    let table = text("a,b\n,1\nNA,2\nnan,3\nNaN,4\n na ,5\n\"\",6\n7,8").unwrap();
    assert_values(&table, &[nan, 1.0, nan, 2.0, nan, 3.0, nan, 4.0, nan, 5.0, nan, 6.0, 7.0, 8.0]);
    assert_eq!(table.missing(), 6);
}

#[test]
fn numbers_are_read_to_the_last_bit() {
    let table = text("a\n0.1\n1e-320\n-0.0\n17976931348623157e292\n+.5\n5.\n1E3\n").unwrap();
    assert_values(&table, &[0.1, 1e-320, -0.0, f64::MAX, 0.5, 5.0, 1000.0]);
}

#[test]
fn a_column_of_words_is_left_out_with_a_note() {
    let table = text("a,species,b\n1,setosa,2\n3,NA,4\n").unwrap();
    assert_eq!(table.columns, ["a", "b"]);
    assert_values(&table, &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(table.notes, [Note::LeftOut(vec!["species".into()])]);
    assert_eq!(
        table.notes[0].to_string(),
        "left out column without any number: \"species\"; choose columns with --columns"
    );
}

#[test]
fn a_word_in_a_column_of_numbers_names_line_column_cell_and_cure() {
    for file in ["a,b\n1,2\n\n3,x y\n", "a,b\r\n1,2\r\n\r\n3,x y\r\n"] {
        assert_eq!(
            message(text(file)),
            "line 4, column \"b\": \"x y\" is not a number; correct it, leave it empty if it is missing, or choose other columns with --columns"
        );
    }
    assert!(message(text("a,b\nx,2\n1,2\n")).starts_with("line 2, column \"a\": \"x\" is not"));
    assert!(message(text("a;b\n1;2,5\n2;2\n")).ends_with("write numbers with a decimal point"));
    let long = format!("a\n1\n{}\u{7}\n", "é".repeat(100));
    assert!(message(text(long)).contains(&format!("\"{}…\"", "é".repeat(40))));
}

#[test]
fn ragged_empty_and_header_only_files_are_refused() {
    assert_eq!(
        message(text("a,b\n1,2\n1,2,3\n")),
        "line 3 has 3 cells, the first row has 2; complete the row, or quote cells that contain ','"
    );
    assert!(message(text("a,b\n1\n")).starts_with("line 2 has 1 cell, the first row has 2;"));
    for empty in ["", "\n\n", "\u{feff}", "  \n\r\n"] {
        assert!(message(text(empty)).starts_with("is empty"), "{empty:?}");
    }
    assert!(message(text("a,b\n")).contains("no rows"));
    assert!(
        message(text("a,b\nx,y\n")).starts_with("no column holds numbers (columns: \"a\", \"b\")")
    );
    assert!(message(text("a b\n1 2\n")).contains("separate cells by comma, tab or semicolon"));
}

#[test]
fn infinite_cells_are_refused() {
    for cell in ["inf", "-Infinity", "1e999"] {
        let found = message(text(format!("a\n1\n{cell}\n")));
        assert!(
            found.starts_with("line 3, column \"a\": ") && found.contains("not finite"),
            "{found}"
        );
    }
}

#[test]
fn bytes_that_are_not_text_are_refused_only_where_they_matter() {
    assert!(message(text(b"a,b\n1,\xe9\n2,3\n")).starts_with("line 2 is not UTF-8 text"));
    assert!(
        message(text(b"\xff\xfea\x00,\x00b\x00\n\x00")).starts_with("line 1 is not UTF-8 text")
    );
    let table = text(b"a,name\n1,Andr\xe9\n2,Zo\xeb\n").unwrap();
    assert_values(&table, &[1.0, 2.0]);
}

#[test]
fn columns_are_chosen_in_the_order_asked_for() {
    let file = "a,word,b,w\n1,x,2,0.5\n3,y,4,0\n";
    let table = with(file, |s| {
        s.columns = Columns::Named(names("b,a"));
        s.weights = Some("w".into());
        s.id = Some("word".into());
    })
    .unwrap();
    assert_eq!(table.columns, ["b", "a"]);
    assert_values(&table, &[2.0, 1.0, 4.0, 3.0]);
    assert_eq!(table.weights.unwrap(), [0.5, 0.0]);
    assert_eq!(table.ids.unwrap(), ["x", "y"]);
    let table = with(file, |s| s.weights = Some("w".into())).unwrap();
    assert_eq!(table.columns, ["a", "b"], "weights are no feature");
}

#[test]
fn a_bad_choice_of_columns_is_refused() {
    let file = "a,word,w\n1,x,1\n2,y,-1\n";
    let choose = |list| message(with(file, |s| s.columns = Columns::Named(names(list))));
    assert_eq!(
        choose("a,z"),
        "has no column \"z\", which --columns asks for; it has \"a\", \"word\", \"w\""
    );
    assert_eq!(
        choose("word"),
        "column \"word\", which --columns asks for, holds no number (first cell: \"x\"); choose another"
    );
    assert!(choose("a,a").contains("\"a\" is chosen twice"));
    assert_eq!(
        message(with(file, |s| s.weights = Some("w".into()))),
        "line 3, column \"w\": the weight \"-1\" is not a finite number of at least 0"
    );
    let zero = "a,w\n1,0\n2,0\n";
    assert!(message(with(zero, |s| s.weights = Some("w".into()))).contains("all weights"));
    assert!(
        message(with("a\n1\n", |s| s.weights = Some("a".into()))).contains("no column is left")
    );
}

#[test]
fn two_columns_of_one_name_are_refused_unless_not_needed() {
    let file = "a,b,a\n1,2,3\n";
    assert_eq!(message(text(file)), "columns 1 and 3 are both called \"a\"; rename one of them");
    assert!(
        message(with(file, |s| s.columns = Columns::Named(names("a")))).contains("both called")
    );
    assert_values(&with(file, |s| s.columns = Columns::Named(names("b"))).unwrap(), &[2.0]);
}

#[test]
fn odd_headers_leave_a_note_and_can_be_overruled() {
    let table = text(",a\n1,2\n").unwrap();
    assert_eq!(table.columns, ["x1", "a"]);
    assert_eq!(table.notes, [Note::Unnamed("x1".into())]);
    let table = text("1.5,2,setosa\n3,4,virginica\n").unwrap();
    assert!(table.notes.contains(&Note::NumberInHeader("1.5".into())), "{:?}", table.notes);
    let table = with("1.5,2,setosa\n3,4,virginica\n", |s| s.header = Header::Absent).unwrap();
    assert_values(&table, &[1.5, 2.0, 3.0, 4.0]);
    let table = with("1990,1991\n3,4\n", |s| s.header = Header::Present).unwrap();
    assert_eq!((&table.columns[0][..], table.n()), ("1990", 1));
}

#[test]
fn decimal_commas_do_not_fool_the_delimiter() {
    assert!(message(text("1,5;2,5\n3,5;4,5\n")).contains("no column holds numbers"));
    let table = text("name, unit;b\n1;2\n3;4\n").unwrap();
    assert_eq!(table.columns, ["name, unit", "b"]);
}

#[test]
fn files_are_named_in_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.csv");
    std::fs::File::create(&path).unwrap().write_all(b"a\n1\nx\n").unwrap();
    let error = read(&path, &Selection::default()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: line 3, column \"a\"", path.display())), "{error}");
    let absent = folder.path().join("absent.csv");
    let error = read(&absent, &Selection::default()).unwrap_err().to_string();
    assert!(
        error.contains("absent.csv: cannot be opened (") && error.contains("check the path"),
        "{error}"
    );
    let error = read(folder.path(), &Selection::default()).unwrap_err().to_string();
    assert!(error.contains("cannot be opened ("), "{error}");
}

/// A `.npy` file of `values` in the order given.
fn npy<T: npyz::AutoSerialize>(shape: &[u64], order: npyz::Order, values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .order(order)
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn arrays_of_both_orders_and_many_types_say_the_same() {
    use npyz::Order::{C, Fortran};
    let files = [
        npy(&[3, 2], C, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        npy(&[3, 2], Fortran, &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        npy(&[3, 2], C, &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]),
        npy(&[3, 2], C, &[1_i64, 2, 3, 4, 5, 6]),
        npy(&[3, 2], Fortran, &[1_u8, 3, 5, 2, 4, 6]),
    ];
    for file in files {
        let table = text(file).unwrap();
        assert_eq!(table.columns, ["x1", "x2"]);
        assert_values(&table, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(table.place(2), Place::Row(3));
    }
    let table = text(npy(&[3], C, &[1.0, f64::NAN, 3.0])).unwrap();
    assert_eq!(table.d(), 1);
    assert_values(&table, &[1.0, f64::NAN, 3.0]);
}

#[test]
fn damaged_and_foreign_arrays_are_refused() {
    use npyz::Order::C;
    let whole = npy(&[3, 2], C, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert!(message(text(&whole[..whole.len() - 1])).contains("not a readable .npy array"));
    assert!(message(text(&whole[..20])).contains("not a readable .npy array"));
    assert!(
        message(text(npy(&[1, 2, 2], C, &[1.0; 4])))
            .contains("shape [1, 2, 2]; expected rows × columns")
    );
    assert!(message(text(npy::<f64>(&[0, 2], C, &[]))).contains("is empty"));
    let infinite = npy(&[2, 2], C, &[1.0, 2.0, f64::INFINITY, 4.0]);
    assert!(message(text(infinite)).starts_with("row 2, column \"x1\": inf is not finite"));
    let truth = npy(&[2, 1], C, &[true, false]);
    assert!(message(text(truth)).contains("|b1"));
}

#[test]
fn arrays_that_claim_more_than_a_machine_can_hold_are_refused() {
    let file = |shape: &str| {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
        let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        file.extend(format!("{header:<117}\n").bytes());
        file.extend([0; 32]);
        file
    };
    assert_eq!(text(file("2, 2")).unwrap().values, [0.0; 4]);
    for shape in ["4294967296, 8589934592", "99999999999999999999, 1", "2305843009213693952,"] {
        let refused = message(text(file(shape)));
        assert!(refused.contains("too large") && refused.contains(shape), "{refused}");
    }
    assert!(message(text(file("0, 4294967296"))).contains("is empty"));
    assert!(message(text(file("1152921504606846975,"))).contains("not a readable .npy array"));
}

#[test]
fn columns_of_a_model_go_by_name_or_by_place() {
    let of_model = |file: &str| {
        with(file, |s| {
            s.columns = Columns::OfModel(names("b,a"));
            s.id = file.contains("id").then(|| "id".into());
        })
    };
    let table = of_model("a,c,id,b\n1,x,p,2\n").unwrap();
    assert_eq!((table.columns, table.values), (names("b,a"), vec![2.0, 1.0]));
    let table = of_model("2,1\n").unwrap();
    assert_eq!((table.columns, table.values), (names("b,a"), vec![2.0, 1.0]));
    assert_eq!(
        message(of_model("1,2,3\n")),
        "has 3 columns without names, the model has 2 (\"b\", \"a\"); add a row of names, or give exactly these columns in this order"
    );
    assert!(message(of_model("a,c\n1,2\n")).contains("no column \"b\", which the model asks for"));
}

#[test]
fn rows_find_their_lines_again() {
    let mut places = Places::default();
    for (row, line) in [2, 3, 4, 7, 8, 20].into_iter().enumerate() {
        places.push(row, line);
    }
    assert_eq!(places.changes.len(), 3);
    let found: Vec<_> = (0..6).map(|row| places.of(row).to_string()).collect();
    assert_eq!(found, ["line 2", "line 3", "line 4", "line 7", "line 8", "line 20"]);
}

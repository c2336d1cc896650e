//! What is in a file is what is shown, and whatever is wrong with it is told.

use std::path::PathBuf;

use elbo_core::{Batch, ChunkSource, Rows};
use elbo_io::{FileError, RowsFile};
use npyz::{Order, WriterBuilder};
use proptest::{collection::vec, prelude::*};

use crate::{Folder, bytes_of};

/// A NumPy file, as another program writes it.
fn npy<T: npyz::AutoSerialize>(shape: &[u64], order: Order, values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .order(order)
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn shown(file: &RowsFile, rows: std::ops::Range<usize>) -> Vec<f64> {
    let collect = |rows: Rows<'_>| {
        let mut all = vec![0.0; rows.len() * rows.d()];
        all.chunks_mut(rows.d()).enumerate().for_each(|(i, row)| rows.copy_row(i, row));
        all
    };
    file.with(rows, collect).unwrap()
}

/// Rows in a file as `f64` or `f32`, NPY or raw; read or mapped; some columns.
#[derive(Clone, Debug)]
struct Case {
    d: usize,
    numbers: Vec<f64>,
    columns: Option<Vec<usize>>,
    kind: u8,
    is_mapped: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (1..6_usize, 0..60_usize, 0..3_u8, any::<bool>()).prop_flat_map(|(d, n, kind, is_mapped)| {
        let columns = prop::option::of(vec(0..d, 1..2 * d));
        let number = (-1000..1000_i32).prop_map(|x| f64::from(x) / 8.0); // an f32 as well
        (vec(number, n * d), columns).prop_map(move |(numbers, columns)| Case {
            d,
            numbers,
            columns,
            kind,
            is_mapped,
        })
    })
}

/// An `f32`, exactly.
#[allow(clippy::cast_possible_truncation, reason = "eighths below 1000 have few digits")]
fn single(x: f64) -> f32 {
    x as f32
}

impl Case {
    fn open(&self, folder: &Folder) -> RowsFile {
        let shape = [(self.numbers.len() / self.d) as u64, self.d as u64];
        let file = match self.kind {
            0 => RowsFile::open_raw(folder.raw(&self.numbers), self.d),
            1 => {
                let bytes = npy(&shape, Order::C, &self.numbers);
                RowsFile::open_npy(folder.file("double.npy", &bytes))
            }
            _ => {
                let single: Vec<f32> = self.numbers.iter().map(|x| single(*x)).collect();
                RowsFile::open_npy(folder.file("single.npy", &npy(&shape, Order::C, &single)))
            }
        };
        let mut file = file.unwrap();
        if let Some(columns) = &self.columns {
            file = file.select(columns).unwrap();
        }
        if self.is_mapped && !self.numbers.is_empty() { file.mapped().unwrap() } else { file }
    }

    /// The columns shown of a row.
    fn row(&self, row: usize) -> Vec<f64> {
        let all = &self.numbers[row * self.d..][..self.d];
        match &self.columns {
            None => all.to_vec(),
            Some(columns) => columns.iter().map(|column| all[*column]).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_range_shows_its_rows(case in case(), from in 0..60_usize, to in 0..60_usize) {
        let folder = Folder::new();
        let (file, n) = (case.open(&folder), case.numbers.len() / case.d);
        prop_assert_eq!(file.len(), n);
        let (from, to) = (from.min(to).min(n), from.max(to).min(n));
        let expected: Vec<f64> = (from..to).flat_map(|row| case.row(row)).collect();
        prop_assert_eq!(shown(&file, from..to), &expected[..]);
        prop_assert!(file.check_finite().is_ok());
        let d = case.d;
        let last: Vec<f64> = case.numbers.iter().skip(d - 1).step_by(d).copied().collect();
        prop_assert_eq!(file.column(d - 1).unwrap(), last);
        let held = if case.is_mapped && case.kind < 2 && case.columns.is_none() && n > 0 {
            0..=0 // shown where it is
        } else {
            8 * expected.len()..=8 * expected.len() + 8 * (to - from) * d
        };
        prop_assert!(held.contains(&file.bytes(from..to)), "{} bytes", file.bytes(from..to));
    }

    #[test]
    fn a_sample_takes_one_row_of_each_stretch(case in case(), n in 1..70_usize, seed: u64) {
        let folder = Folder::new();
        let (file, rows) = (case.open(&folder), case.numbers.len() / case.d);
        let sample = file.sample(n, seed).unwrap();
        let n = n.min(rows);
        prop_assert_eq!(sample.rows().len(), n);
        for i in 0..n {
            let stretch = (i * rows / n)..((i + 1) * rows / n);
            let drawn = &sample.data()[i * file.d()..][..file.d()];
            prop_assert!(stretch.clone().any(|row| case.row(row) == drawn), "{stretch:?}");
        }
    }

    #[test]
    fn any_bytes_are_a_table_or_refused(
        begin in prop::sample::select(vec![
            &b""[..], b"\x93NUMPY", b"\x93NUMPY\x01\x00\x30\x00{'descr': '<f8', 'fortran_order': False, 'shape': (",
        ]),
        bytes in vec(0..=255_u8, 0..200),
    ) {
        let folder = Folder::new();
        let path = folder.file("x.npy", &[begin, &bytes].concat());
        let _ = RowsFile::open_npy(path);
    }
}

#[test]
fn rows_longer_than_a_strip_are_read() {
    let numbers: Vec<f64> = (0..3 * 20_000_i32).map(f64::from).collect();
    let folder = Folder::new();
    let file = RowsFile::open_raw(folder.raw(&numbers), 20_000).unwrap();
    assert_eq!(shown(&file, 1..3), &numbers[20_000..]);
    let narrow = RowsFile::open_raw(folder.raw(&numbers), 3).unwrap();
    assert_eq!(shown(&narrow, 7..20_000), &numbers[21..], "many strips");
}

/// A file of these bytes, opened as NPY.
fn refused(bytes: &[u8]) -> FileError {
    let folder = Folder::new();
    RowsFile::open_npy(folder.file("x.npy", bytes)).unwrap_err()
}

#[test]
fn wrong_files_are_told() {
    let good = npy(&[2, 3], Order::C, &[1.0; 6]);
    let short = &good[..good.len() - 1];
    let len = good.len() as u64;
    assert!(matches!(
        refused(short),
        FileError::Length { expected, found, .. } if (expected, found) == (len, len - 1)
    ));
    assert!(matches!(refused(b"x1,x2\n1,2\n"), FileError::Header { why: "is no NPY file", .. }));
    assert!(matches!(refused(&good[..20]), FileError::Header { .. }));
    assert!(matches!(refused(b""), FileError::Header { .. }));
    assert!(matches!(
        refused(&npy(&[2, 3], Order::Fortran, &[1.0; 6])),
        FileError::FortranOrder { .. }
    ));
    for (bytes, name) in
        [(npy(&[1, 2], Order::C, &[1_i64, 2]), "<i8"), (npy(&[1, 2], Order::C, &[1_u8, 2]), "|u1")]
    {
        assert!(matches!(refused(&bytes), FileError::Type { found, .. } if found == name));
    }
    let cube = refused(&npy(&[1, 2, 3], Order::C, &[1.0; 6]));
    assert!(matches!(cube, FileError::Shape { shape, .. } if shape == [1, 2, 3]));
    let nothing = refused(&npy::<f64>(&[2, 0], Order::C, &[]));
    assert!(matches!(nothing, FileError::Shape { .. }));
    let folder = Folder::new();
    let missing = RowsFile::open_npy(folder.path("missing.npy")).unwrap_err();
    assert!(matches!(missing, FileError::Io { .. }));
}

#[test]
fn extents_that_no_machine_can_count_are_told() {
    for shape in ["99999999999999999999, 2", "4611686018427387904, 4", "2305843009213693952, 1"] {
        let mut text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
        text.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.bytes());
        let error = refused(&bytes);
        assert!(
            matches!(error, FileError::Shape { .. } | FileError::Header { .. }),
            "{shape}: {error}"
        );
    }
}

#[test]
fn one_dimension_and_one_column_have_no_order() {
    let folder = Folder::new();
    for (shape, d) in [(&[4_u64][..], 1), (&[4, 1], 1), (&[1, 4], 4)] {
        let path = folder.file("x.npy", &npy(shape, Order::Fortran, &[1.0, 2.0, 3.0, 4.0]));
        let file = RowsFile::open_npy(path).unwrap();
        assert_eq!((file.d(), shown(&file, 0..4 / d)), (d, vec![1.0, 2.0, 3.0, 4.0]));
    }
}

#[test]
fn raw_files_hold_whole_rows() {
    let folder = Folder::new();
    let mut bytes = bytes_of(&[1.0; 6]);
    let path: PathBuf = folder.file("x.f64", &bytes);
    assert!(RowsFile::open_raw(&path, 3).is_ok());
    let error = RowsFile::open_raw(&path, 4).unwrap_err();
    assert!(matches!(error, FileError::Length { expected: 32, found: 48, .. }), "{error}");
    bytes.push(0);
    let error = RowsFile::open_raw(folder.file("x.f64", &bytes), 3).unwrap_err();
    assert!(matches!(error, FileError::Length { expected: 48, found: 49, .. }), "{error}");
}

#[test]
fn a_number_that_is_not_finite_is_told_by_row_and_column_of_the_file() {
    let mut numbers = vec![0.0; 5 * 9000];
    numbers[5 * 8765 + 3] = f64::NAN;
    let folder = Folder::new();
    let file = RowsFile::open_raw(folder.raw(&numbers), 5).unwrap();
    let is_it = |file: &RowsFile| {
        let error = file.check_finite().unwrap_err();
        matches!(error, FileError::NotFinite { row: 8765, column: 3, value, .. } if value.is_nan())
    };
    assert!(is_it(&file));
    assert!(is_it(&file.select(&[4, 3]).unwrap()));
    let file = RowsFile::open_raw(folder.raw(&numbers), 5).unwrap();
    assert!(file.select(&[4, 2]).unwrap().check_finite().is_ok());
}

#[test]
fn columns_that_do_not_exist_are_told() {
    let folder = Folder::new();
    let open = || RowsFile::open_raw(folder.raw(&[0.0; 6]), 3).unwrap();
    let of = |error| matches!(error, FileError::Column { column: 3, columns: 3, .. });
    assert!(of(open().select(&[0, 3]).unwrap_err()));
    assert!(of(open().column(3).unwrap_err()));
}

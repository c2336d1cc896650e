//! Parquet files show what was written, wherever row groups and pages end.

use std::sync::Arc;

use ::parquet::{
    basic::Compression,
    data_type::{DoubleType, FloatType, Int32Type, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use elbo_core::{Batch, ChunkSource, Rows, Settings, WeightedSource, fit, fit_source};
use elbo_io::{FileError, ParquetFile};
use elbo_mixture::MixtureModel;
use proptest::{collection::vec, prelude::*};

use crate::{Folder, fits::start, two_groups};

/// A file of `double`, optional `double`, `float`, `int32` and `int64` columns, one value of a row per entry.
fn table(rows: &[(f64, Option<f64>, i16)], group: usize, is_packed: bool) -> Vec<u8> {
    let schema = "message t { required double a; optional double b; required float c; \
                  required int32 d; required int64 e; required binary name (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let compression = if is_packed { Compression::SNAPPY } else { Compression::UNCOMPRESSED };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(7)
        .set_write_batch_size(3)
        .set_dictionary_enabled(is_packed)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut group = writer.next_row_group().unwrap();
        macro_rules! column {
            ($type:ty, $values:expr, $levels:expr) => {
                let mut column = group.next_column().unwrap().unwrap();
                let values: Vec<_> = $values;
                column.typed::<$type>().write_batch(&values, $levels, None).unwrap();
                column.close().unwrap();
            };
        }
        column!(DoubleType, rows.iter().map(|row| row.0).collect(), None);
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.1.is_some())).collect();
        column!(DoubleType, rows.iter().filter_map(|row| row.1).collect(), Some(&levels));
        column!(FloatType, rows.iter().map(|row| f32::from(row.2)).collect(), None);
        column!(Int32Type, rows.iter().map(|row| i32::from(row.2)).collect(), None);
        column!(Int64Type, rows.iter().map(|row| i64::from(row.2) << 20).collect(), None);
        let names = rows.iter().map(|_| "x".into()).collect();
        column!(::parquet::data_type::ByteArrayType, names, None);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_range_shows_its_rows(
        rows in vec((-9.0..9.0_f64, prop::option::of(-9.0..9.0_f64), any::<i16>()), 0..70),
        group in 1..30_usize,
        is_packed: bool,
        (from, to) in (0..70_usize, 0..70_usize),
    ) {
        let folder = Folder::new();
        let path = folder.file("x.parquet", &table(&rows, group, is_packed));
        let file = ParquetFile::open_columns(path, &["e", "b", "a", "c", "d"]).unwrap();
        prop_assert_eq!((file.len(), file.d()), (rows.len(), 5));
        let (from, to) = (from.min(to).min(rows.len()), from.max(to).min(rows.len()));
        let shown = file.with(from..to, |rows| {
            let row = |i: usize| (0..5).map(|j| rows.get(i, j).to_bits()).collect::<Vec<_>>();
            (0..rows.len()).map(row).collect::<Vec<_>>()
        });
        let written = rows[from..to].iter().map(|&(a, b, c)| {
            let c = f64::from(c);
            [c * 1_048_576.0, b.unwrap_or(f64::NAN), a, c, c].map(f64::to_bits).to_vec()
        });
        prop_assert_eq!(shown.unwrap(), written.collect::<Vec<_>>());
    }

    #[test]
    fn damaged_files_are_refused_or_fail_to_show(
        place in 0..2000_usize,
        byte: u8,
        cut in prop::option::of(0..2000_usize),
    ) {
        let rows: Vec<_> = (0..40_i16).map(|i| (f64::from(i), None, i)).collect();
        let mut bytes = table(&rows, 10, true);
        let len = bytes.len();
        bytes[place % len] = byte;
        bytes.truncate(cut.unwrap_or(len));
        let folder = Folder::new();
        if let Ok(file) = ParquetFile::open_columns(folder.file("x.parquet", &bytes), &["a"]) {
            let n = file.len().min(1000);
            let _ = file.with(0..n, |rows| rows.len());
        }
    }
}

#[test]
fn columns_without_numbers_and_other_names_are_told() {
    let folder = Folder::new();
    let path = folder.file("x.parquet", &table(&[(1.0, None, 2)], 1, false));
    let error = ParquetFile::open(&path).unwrap_err();
    assert!(matches!(&error, FileError::ColumnType { name, .. } if name == "name"), "{error}");
    let error = ParquetFile::open_columns(&path, &["a", "z"]).unwrap_err();
    assert!(matches!(&error, FileError::Name { name, .. } if name == "z"), "{error}");
    let error = ParquetFile::open(folder.file("y.parquet", b"PAR1 and nothing else")).unwrap_err();
    assert!(matches!(error, FileError::Parquet { .. }), "{error}");
}

#[test]
fn a_mixture_of_a_parquet_file_is_that_of_memory() {
    let n = 3000;
    let data = two_groups(n, 1);
    let rows: Vec<_> = data.iter().map(|x| (*x, None, 0)).collect();
    let folder = Folder::new();
    let path = folder.file("x.parquet", &table(&rows, 1100, true));
    let source = WeightedSource::uniform(ParquetFile::open_columns(path, &["a"]).unwrap());
    let (model, settings) = (MixtureModel::ml(), Settings { pieces: 3, ..Settings::default() });
    let from = || model.start(start(1), n as f64).unwrap();
    let memory = fit(&model, Rows::new(&data, n, 1).into(), from(), &settings, &()).unwrap();
    let read = fit_source(&model, &source, from(), &settings, &()).unwrap();
    elbo_laws::model::assert_same_fit(&memory, &read);
}

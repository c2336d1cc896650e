//! Bytes come back as what they were, or not at all.

use elbo_core::{WireError, read_statistics, write_statistics};
use proptest::{array::uniform2, collection::vec, prelude::*};

type Stats = (Vec<f64>, [f64; 2]);

fn read(bytes: &[u8], like: &Stats) -> Result<Stats, WireError> {
    let mut stats = like.clone();
    let result = read_statistics(bytes, &mut stats);
    assert!(result.is_ok() || stats == *like, "an error left a trace");
    result.map(|()| stats)
}

fn like() -> Stats {
    (vec![7.0; 3], [8.0; 2])
}

proptest! {
    #[test]
    fn bytes_cut_off_or_glued_together_are_told(
        stats in (vec(-1e9..1e9_f64, 3), uniform2(-1.0..1.0_f64)),
        cut in 0..78_usize,
        more in vec(0..=255_u8, 1..40),
    ) {
        let bytes = write_statistics(&stats);
        prop_assert_eq!(bytes.len(), 38 + 8 * 5);
        let cut_off = read(&bytes[..cut], &like()).unwrap_err();
        let too_short = WireError::Length { expected: 78, found: cut };
        prop_assert!(cut < 6 || cut_off == too_short, "{cut_off}");
        prop_assert!(cut >= 6 || matches!(cut_off, WireError::Kind { .. }), "{cut_off}");
        let glued: Vec<u8> = bytes.iter().copied().chain(more).collect();
        let too_long = WireError::Length { expected: 78, found: glued.len() };
        prop_assert_eq!(read(&glued, &like()), Err(too_long));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(0..=255_u8, 0..120), begin in 0..79_usize) {
        let _ = read(&bytes, &like());
        // and with an honest beginning, so that the checks further on are met
        let mut honest = write_statistics(&like());
        honest.truncate(begin);
        honest.extend(bytes);
        if let Ok(stats) = read(&honest, &like()) {
            prop_assert!(stats.0.iter().chain(&stats.1).all(|x| x.is_finite()));
        }
    }
}

#[test]
fn every_field_of_the_header_is_checked() {
    let honest = write_statistics(&like());
    let with = |place: usize, byte: u8| {
        let mut bytes = honest.clone();
        bytes[place] = byte;
        read(&bytes, &like())
    };
    assert_eq!(read(&honest, &like()), Ok(like()));
    for place in 0..5 {
        let error = with(place, 99).unwrap_err();
        assert_eq!(error, WireError::Kind { expected: "statistics" }, "byte {place}");
    }
    assert_eq!(with(5, 2), Err(WireError::Version { found: 2, known: 1 }));
    for (place, byte) in honest.iter().enumerate().take(22).skip(14) {
        assert_eq!(with(place, byte ^ 1), Err(WireError::Shape), "byte {place}");
    }
}

#[test]
fn statistics_of_another_shape_are_refused_though_they_are_as_many() {
    let other = write_statistics(&(vec![1.0; 2], [1.0; 3]));
    assert_eq!(read(&other, &like()), Err(WireError::Shape));
    let flat = write_statistics(&vec![1.0; 5]);
    assert_eq!(read(&flat, &like()), Err(WireError::Shape));
}

#[test]
fn sums_that_are_not_finite_are_refused() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let bytes = write_statistics(&(vec![0.0, value, 0.0], [0.0; 2]));
        let error = read(&bytes, &like()).unwrap_err();
        assert!(matches!(error, WireError::NotFinite { index: 3, .. }), "{error}");
    }
}

#[cfg(feature = "postcard")]
mod params {
    use elbo_core::{WireError, decode_params, encode_params};
    use proptest::{collection::vec, prelude::*};

    type Params = (Vec<f64>, Option<u32>, String);

    proptest! {
        #[test]
        fn parameters_come_back(numbers in vec(any::<u64>(), 0..5), code: Option<u32>, name: String) {
            let numbers: Vec<f64> = numbers.into_iter().map(f64::from_bits).collect();
            let params = (numbers, code, name);
            let bytes = encode_params("format", &params).unwrap();
            let back: Params = decode_params("format", &bytes).unwrap();
            prop_assert_eq!((&back.1, &back.2), (&params.1, &params.2));
            let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back.0), bits(&params.0));
            for cut in 0..bytes.len() {
                prop_assert!(decode_params::<Params>("format", &bytes[..cut]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in vec(0..=255_u8, 0..60)) {
            let mut honest = encode_params("format", &()).unwrap();
            honest.extend(&bytes);
            let _ = decode_params::<Params>("format", &honest);
            prop_assert!(decode_params::<Params>("format", &bytes).is_err());
        }
    }

    #[test]
    fn formats_and_lengths_are_checked() {
        let mut bytes = encode_params("dice", &[1.0, 2.0]).unwrap();
        let (expected, found) = ("coins".into(), "dice".into());
        let error = decode_params::<[f64; 2]>("coins", &bytes).unwrap_err();
        assert_eq!(error, WireError::Format { expected, found });
        bytes.push(0);
        let (expected, found) = (bytes.len() - 1, bytes.len());
        let error = decode_params::<[f64; 2]>("dice", &bytes).unwrap_err();
        assert_eq!(error, WireError::Length { expected, found });
    }
}

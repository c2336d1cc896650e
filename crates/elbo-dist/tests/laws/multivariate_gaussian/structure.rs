//! Names and parameter counts of the covariance structures.

use elbo_dist::CovarianceStructure::{self, EEE, EII, VII, VVI, VVV};
use elbo_dist::Sharing;

#[test]
fn names_are_read_as_they_are_written() {
    for structure in CovarianceStructure::ALL {
        assert_eq!(structure.to_string().parse(), Ok(structure));
        assert_eq!(structure.name().to_lowercase().parse(), Ok(structure));
    }
    for (name, structure) in [
        ("full", VVV),
        ("tied", EEE),
        ("diagonal", VVI),
        ("spherical", VII),
        ("E", EII),
        ("V", VII),
    ] {
        assert_eq!(name.parse(), Ok(structure));
    }
    let error = "VEX".parse::<CovarianceStructure>().unwrap_err();
    assert!(error.to_string().starts_with("\"VEX\" is no covariance structure"), "{error}");
    assert_eq!(format!("{VVV:>5}"), "  VVV");
}

#[test]
fn parameters_are_counted_as_published() {
    // Celeux & Govaert (1995), table 1, without means and weights: k = 2, d = 2 and k = 3, d = 4
    let two = [1, 2, 2, 3, 3, 4, 3, 4, 4, 5, 4, 5, 5, 6];
    let more = [1, 3, 4, 6, 10, 12, 10, 12, 16, 18, 22, 24, 28, 30];
    for (place, structure) in CovarianceStructure::ALL.into_iter().enumerate() {
        assert_eq!(structure.covariance_parameters(2, 2), two[place], "{structure}");
        assert_eq!(structure.covariance_parameters(3, 4), more[place], "{structure}");
        let single = if structure.volume() == Sharing::Equal { 1 } else { 5 };
        assert_eq!(structure.covariance_parameters(5, 1), single, "{structure}");
    }
    assert_eq!(CovarianceStructure::distinct(1), [EII, VII]);
}

#[cfg(feature = "serde")]
#[test]
fn files_hold_names() {
    assert_eq!(serde_json::to_string(&EEE).unwrap(), "\"EEE\"");
    assert_eq!(serde_json::from_str::<CovarianceStructure>("\"tied\"").unwrap(), EEE);
}

//! Files hold what a constructor would accept, and nothing else.

use elbo_hmm::{Hmm, Poisson};

const FILE: &str = r#"{"initial":[0.25,0.75],"transition":[[0.9,0.1],[0.0,1.0]],"emission":[{"rate":2.0},{"rate":9.5}]}"#;

#[test]
fn what_is_written_reads_back() {
    let rates = [2.0, 9.5].map(|rate| Poisson::new(rate).unwrap()).to_vec();
    let hmm = Hmm::new(&[0.25, 0.75], &[[0.9, 0.1], [0.0, 1.0]], rates).unwrap();
    assert_eq!(serde_json::to_string(&hmm).unwrap(), FILE);
    assert_eq!(serde_json::from_str::<Hmm<Poisson>>(FILE).unwrap(), hmm);
}

#[test]
fn what_no_constructor_accepts_is_refused() {
    for (good, bad, why) in [
        ("[0.25,0.75]", "[0.25,0.25]", "sum"),
        ("[0.25,0.75]", "[1.0]", "1 initial probabilities"),
        ("[0.0,1.0]", "[0.0,0.5,0.5]", "row 1 has 3"),
        ("[0.9,0.1]", "[1.9,-0.9]", "out of range"),
        (r#"{"rate":2.0}"#, r#"{"rate":-2.0}"#, "rate"),
        (r#"{"initial""#, r#"{"more":1,"initial""#, "unknown field"),
    ] {
        let error = serde_json::from_str::<Hmm<Poisson>>(&FILE.replace(good, bad)).unwrap_err();
        assert!(error.to_string().contains(why), "{bad}: {error}");
    }
}

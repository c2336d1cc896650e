//! Data that cannot be used: one line with file, place and cure.

use crate::support::{Folder, refused};

#[test]
fn wrong_data_get_one_line_with_file_place_and_cure() {
    let line = "fit mixture data.csv --components 2";
    assert_eq!(
        refused(line, "a,b\n1,2\n3,oops\n"),
        "elbo: data.csv: line 3, column \"b\": \"oops\" is not a number; correct it, leave it empty if it is missing, or choose other columns with --columns\n"
    );
    assert_eq!(refused(line, ""), "elbo: data.csv: is empty; expected rows of numbers\n");
    assert!(
        refused("fit mixture - -K 2", "a\n1\ninf\n")
            .starts_with("elbo: standard input: line 3, column \"a\": inf")
    );
    let absent = refused("fit mixture absent.csv -K 2", "");
    assert!(
        absent.starts_with("elbo: absent.csv: cannot be opened (") && absent.lines().count() == 1
    );
    assert!(
        refused("fit mixture data.csv -K 2 --id z", "a\n1\n")
            .contains("no column \"z\", which --id asks for")
    );
}

#[test]
fn data_that_no_mixture_fits_are_refused_in_the_words_of_the_file() {
    for (data, options, message) in [
        (
            "n\n1\n\nNA\nnan\n",
            "-K 1 --component poisson",
            "line 4, column \"n\" is missing (and 1 more); Poisson components need every value: fill the cell, remove the row, or choose other columns with --columns",
        ),
        (
            "a,b,w\n1,NA,1\n2,,1\n3,4,0\n",
            "-K 1 --weights w",
            "column \"b\" is missing in every row; leave it out with --columns",
        ),
        (
            "a,b\n1,7\n2,7\n3,7\n",
            "-K 1..2",
            "column \"b\" is 7 in every row; leave it out with --columns",
        ),
        ("a\n1\n2\n", "-K 3", "2 rows are too few for 3 components; ask for fewer, or add rows"),
        (
            "a\n1\n2\n1\n2\n",
            "-K 3",
            "only 2 distinct rows for 3 components; ask for fewer components",
        ),
        (
            "a,b,c\n1,2,4\n3,5,1\n",
            "-K 1",
            "no start: the covariance of component 1 became singular in column \"b\"",
        ),
        (
            "n\n1\n2.5\n",
            "-K 1 --component poisson",
            "line 3, column \"n\": 2.5 is not a count; Poisson components need whole numbers from 0 to 2^53",
        ),
        ("n\n1\n-2\n", "-K 1 --component poisson", "line 3, column \"n\": -2 is not a count"),
        (
            "n,m\n1,2\n",
            "-K 1 --component poisson",
            "has 2 columns of numbers, but --component poisson models one column of counts; choose it with --columns",
        ),
    ] {
        let refusal = Folder::new(data).refusal(&format!("fit mixture data.csv {options}"));
        assert!(refusal.starts_with(&format!("elbo: data.csv: {message}")), "{refusal}");
    }
}

#[test]
fn an_array_that_claims_to_be_larger_than_memory_is_refused() {
    let folder = Folder::new("a\n1\n");
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 8589934592), }";
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(format!("{header:<117}\n").bytes());
    std::fs::write(folder.path("huge.npy"), file).unwrap();
    let refusal = folder.refusal("fit mixture huge.npy -K 1");
    assert!(refusal.contains("huge.npy: claims to be an array of shape"), "{refusal}");
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_fitting() {
    let folder = Folder::new("a\n1\n2\n4\n");
    let refusal = folder.refusal("fit mixture data.csv -K 1 --model data.csv/model.json");
    assert!(refusal.contains("model.json: cannot be written ("), "{refusal}");
    let refusal = folder.refusal("fit mixture data.csv -K 1 --report .");
    assert!(refusal.contains(".: cannot be written ("), "{refusal}");
}

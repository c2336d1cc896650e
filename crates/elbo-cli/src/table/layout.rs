//! Which column of a file plays which part, and the rows collected under that plan.

use super::{Columns, Note, Place, Places, Problem, Selection, Table};

/// One cell as it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// A number, possibly infinite, never `NaN`.
    Number(f64),
    /// Empty, `NA` or `NaN`.
    Missing,
    /// Anything else.
    Text(&'a [u8]),
}

/// The part that one column of the file plays.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// Column `slot` of the table.
    Feature(usize),
    Weight,
    Id,
    Ignored,
}

/// What is known of a column of the table so far.
#[derive(Debug, Default)]
struct Seen {
    number: bool,
    text: Option<(Place, Vec<u8>)>,
}

/// Rows under construction.
#[derive(Debug)]
pub(super) struct Layout {
    /// One per column of the file.
    roles: Vec<Role>,
    /// Names of the file's columns.
    names: Vec<String>,
    /// For each column of the table, its column in the file.
    features: Vec<usize>,
    seen: Vec<Seen>,
    /// Who asks for these very columns.
    asked_by: Option<&'static str>,
    values: Vec<f64>,
    weights: Option<Vec<f64>>,
    ids: Option<Vec<String>>,
    places: Places,
    notes: Vec<Note>,
}

impl Layout {
    /// Plans for a file with columns `names`, which are made up unless it is `named`.
    pub(super) fn new(
        mut names: Vec<String>,
        named: bool,
        selection: &Selection,
    ) -> Result<Self, Problem> {
        let mut roles = vec![Role::Ignored; names.len()];
        let mut assign = |name: &str, option: &'static str, role: Role| {
            let at = find(&names, name, option)?;
            match roles[at] {
                Role::Ignored => roles[at] = role,
                _ => return Err(Problem::ChosenTwice { column: name.into() }),
            }
            Ok(at)
        };
        if let Some(name) = &selection.weights {
            assign(name, "--weights", Role::Weight)?;
        }
        if let Some(name) = &selection.id {
            assign(name, "--id", Role::Id)?;
        }
        let features = match &selection.columns {
            Columns::Named(columns) => choose(columns, "--columns", assign)?,
            Columns::OfModel(columns) if named => choose(columns, "the model", assign)?,
            other => {
                let free = |at: &usize| matches!(roles[*at], Role::Ignored);
                let features: Vec<_> = (0..names.len()).filter(free).collect();
                if let Columns::OfModel(columns) = other {
                    if features.len() != columns.len() {
                        let (found, columns) = (features.len(), columns.clone());
                        return Err(Problem::Width { found, columns });
                    }
                    features.iter().zip(columns).for_each(|(&at, name)| names[at].clone_from(name));
                } else {
                    for &at in &features {
                        find(&names, &names[at], "--columns")?; // its name must be its own
                    }
                }
                for (slot, &at) in features.iter().enumerate() {
                    roles[at] = Role::Feature(slot);
                }
                features
            }
        };
        if features.is_empty() {
            return Err(Problem::NothingToModel);
        }
        Ok(Self {
            seen: features.iter().map(|_| Seen::default()).collect(),
            asked_by: match selection.columns {
                Columns::AllNumbers => None,
                Columns::Named(_) => Some("--columns"),
                Columns::OfModel(_) => Some("the model"),
            },
            values: Vec::new(),
            weights: selection.weights.as_ref().map(|_| Vec::new()),
            ids: selection.id.as_ref().map(|_| Vec::new()),
            places: Places::default(),
            notes: Vec::new(),
            roles,
            names,
            features,
        })
    }

    /// Makes room for `rows` more rows.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows * self.features.len());
    }

    /// Keeps a note for the person who asked.
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Adds one row; `cells` gives a cell for each column of the file, parsed only where it is used.
    pub(super) fn push<'a, T>(
        &mut self,
        place: Place,
        row: impl Iterator<Item = T>,
        parse: impl Fn(T) -> Cell<'a>,
        text: impl Fn(T) -> &'a [u8],
    ) -> Result<(), Problem> {
        let start = self.values.len();
        self.values.resize(start + self.features.len(), f64::NAN);
        for (at, raw) in row.enumerate() {
            match self.roles[at] {
                Role::Feature(slot) => {
                    self.values[start + slot] = self.feature(place, slot, parse(raw))?;
                }
                Role::Weight => {
                    let weight = self.weight(place, at, parse(raw))?;
                    self.weights.as_mut().expect("a weight column was chosen").push(weight);
                }
                Role::Id => {
                    let id = str::from_utf8(text(raw)).map_err(|_| Problem::NotUtf8 { place })?;
                    self.ids.as_mut().expect("an id column was chosen").push(id.into());
                }
                Role::Ignored => {}
            }
        }
        if let Place::Line(line) = place {
            self.places.push(start / self.features.len(), line);
        }
        Ok(())
    }

    /// The finished table: columns without numbers left out.
    pub(super) fn finish(mut self) -> Result<Table, Problem> {
        if self.values.is_empty() {
            return Err(Problem::NoRows);
        }
        if let (Some(weights), Some(at)) =
            (&self.weights, self.roles.iter().position(|role| matches!(role, Role::Weight)))
            && weights.iter().all(|&weight| weight == 0.0)
        {
            return Err(Problem::NoWeight { column: self.names[at].clone() });
        }
        let (keep, empty): (Vec<_>, Vec<_>) =
            (0..self.seen.len()).partition(|&slot| self.seen[slot].number);
        if let (Some(option), Some(&slot)) = (self.asked_by, empty.first()) {
            let cell = self.seen[slot].text.take().map_or(Vec::new(), |(_, cell)| cell);
            let (column, cell) = (self.name(slot), lossy(&cell));
            return Err(Problem::ChosenWithoutNumbers { column, option, cell });
        }
        if keep.is_empty() {
            return Err(Problem::NoNumbers { columns: self.names });
        }
        let columns: Vec<_> = keep.iter().map(|&slot| self.name(slot)).collect();
        if !empty.is_empty() {
            self.notes.push(Note::LeftOut(empty.iter().map(|&slot| self.name(slot)).collect()));
            self.values = compact(&self.values, self.seen.len(), &keep);
        }
        self.notes.retain(|note| match note {
            Note::Unnamed(name) => columns.contains(name),
            _ => true,
        });
        Ok(Table {
            source: String::new(),
            columns,
            values: self.values,
            weights: self.weights,
            ids: self.ids,
            notes: self.notes,
            places: self.places,
        })
    }

    /// Name of column `slot` of the table.
    fn name(&self, slot: usize) -> String {
        self.names[self.features[slot]].clone()
    }

    /// The value of a feature; a text cell is an error once the column is known to hold numbers.
    fn feature(&mut self, place: Place, slot: usize, cell: Cell<'_>) -> Result<f64, Problem> {
        let seen = &mut self.seen[slot];
        let value = match cell {
            Cell::Number(value) => {
                seen.number = true;
                value
            }
            Cell::Missing => f64::NAN,
            Cell::Text(text) => {
                seen.text.get_or_insert_with(|| (place, text.into()));
                f64::NAN
            }
        };
        let column = || self.names[self.features[slot]].clone();
        match &seen.text {
            _ if value.is_infinite() => {
                Err(Problem::Infinite { place, column: column(), cell: value.to_string() })
            }
            Some((place, text)) if seen.number => Err(match str::from_utf8(text) {
                Ok(text) => Problem::Text { place: *place, column: column(), cell: text.into() },
                Err(_) => Problem::NotUtf8 { place: *place },
            }),
            _ => Ok(value),
        }
    }

    fn weight(&self, place: Place, at: usize, cell: Cell<'_>) -> Result<f64, Problem> {
        let cell = match cell {
            Cell::Number(weight) if weight >= 0.0 && weight.is_finite() => return Ok(weight),
            Cell::Number(weight) => weight.to_string(),
            Cell::Missing => String::new(),
            Cell::Text(text) => lossy(text),
        };
        Err(Problem::Weight { place, column: self.names[at].clone(), cell })
    }
}

/// The places of `columns`, each of which `assign` gives its slot.
fn choose(
    columns: &[String],
    option: &'static str,
    mut assign: impl FnMut(&str, &'static str, Role) -> Result<usize, Problem>,
) -> Result<Vec<usize>, Problem> {
    let places = columns.iter().enumerate();
    places.map(|(slot, name)| assign(name, option, Role::Feature(slot))).collect()
}

/// The one column called `name`.
fn find(names: &[String], name: &str, option: &'static str) -> Result<usize, Problem> {
    let mut places = names.iter().enumerate().filter(|(_, known)| *known == name).map(|(at, _)| at);
    match (places.next(), places.next()) {
        (Some(at), None) => Ok(at),
        (Some(first), Some(second)) => Err(Problem::DuplicateName {
            column: name.into(),
            first: first + 1,
            second: second + 1,
        }),
        (None, _) => {
            Err(Problem::UnknownColumn { column: name.into(), option, known: names.into() })
        }
    }
}

/// Only the columns `keep` of an `n × d` matrix.
fn compact(values: &[f64], d: usize, keep: &[usize]) -> Vec<f64> {
    values.chunks_exact(d).flat_map(|row| keep.iter().map(|&column| row[column])).collect()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

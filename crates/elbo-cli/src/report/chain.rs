//! The page about a fitted hidden Markov model: decoded path over the data, transitions, states, durations.

use super::{
    Figure, color, page as html, section,
    svg::{Axis, Frame, Svg, escape, line, minus, px, short},
    tables, warnings,
};
use crate::{
    chain::{Chain, Emission},
    number::{fixed, significant},
};

/// The most steps that the picture of a path shows.
const MOST_STEPS: usize = 2000;

/// The most columns that pictures show.
const MOST_COLUMNS: usize = 4;

/// What the page tells.
#[derive(Debug)]
pub(crate) struct ChainPage<'a> {
    /// What a person calls the data.
    pub(crate) source: &'a str,
    /// Names of the columns.
    pub(crate) columns: &'a [String],
    /// What the states emit.
    pub(crate) emission: Emission,
    /// The fitted chain.
    pub(crate) chain: &'a Chain,
    /// `n × d`; `NaN` is missing.
    pub(crate) values: &'a [f64],
    /// Where sequences begin and end.
    pub(crate) offsets: &'a [usize],
    /// The most probable path.
    pub(crate) states: &'a [usize],
    /// The share of the steps that each state has.
    pub(crate) shares: Vec<f64>,
    /// Label and value, on top.
    pub(crate) tiles: Vec<(&'static str, String)>,
    /// Mark, states, log-likelihood, df, BIC, AIC, starts.
    pub(crate) candidates: Vec<[String; 7]>,
    /// One sentence each.
    pub(crate) warnings: Vec<String>,
    /// Circumstances, as label and value.
    pub(crate) run: Vec<(String, String)>,
}

/// The page.
pub(crate) fn page(chain: &ChainPage<'_>) -> String {
    let k = chain.chain.k();
    let plural = if k == 1 { "state" } else { "states" };
    let title = format!("{k} hidden {plural}, {} emissions", chain.emission.name());
    let tiles: String = chain
        .tiles
        .iter()
        .map(|(label, value)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(label), escape(&minus(value)))
        })
        .collect();
    let mut main = format!(
        "<header>\n<p class=\"source\">{}</p>\n<h1>{}</h1>\n<dl class=\"tiles\">\n{tiles}</dl>\n</header>\n",
        escape(chain.source),
        escape(&title)
    );
    main += &warnings(&chain.warnings);
    main += &section("Decoded path", &chain.path().html());
    main += &section("States", &(chain.states_table() + &chain.densities()));
    main += &section("Transitions", &chain.transitions().html());
    let header = ["", "states", "log-likelihood", "df", "BIC", "AIC", "starts"];
    let rows: String = chain
        .candidates
        .iter()
        .map(|row| {
            let cells: String = row.iter().map(|cell| cell_of(cell)).collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    main += &section("Fit", &tables::table("Numbers of states that were tried", &header, &rows));
    main += &section("Run", &tables::run(&chain.run));
    html(&format!("{}: {title}", chain.source), &main)
}

fn cell_of(text: &str) -> String {
    format!("<td>{}</td>", escape(&minus(text)))
}

impl ChainPage<'_> {
    fn d(&self) -> usize {
        self.columns.len()
    }

    /// The first steps, one panel for each column, dots in the colors of their states.
    fn path(&self) -> Figure {
        let n = self.states.len().min(MOST_STEPS);
        let shown = self.d().min(MOST_COLUMNS);
        let height = 40.0 + 190.0 * shown as f64;
        let changes = (1..n).filter(|t| self.states[*t] != self.states[*t - 1]).count();
        let mut svg = Svg::new(
            "path",
            (720.0, height),
            "Most probable path of states over the data",
            &format!("{n} steps; the state changes {changes} times."),
        );
        for c in 0..shown {
            self.panel(&mut svg, c, n);
        }
        let mut caption = "Each dot is a step, in the color of its state on the most probable path; the level behind it is the mean of that state. Gray lines are where a sequence begins.".to_string();
        if self.states.len() > n {
            caption += &format!(" The first {n} of {} steps.", self.states.len());
        }
        Figure { svg: svg.finish(), caption }
    }

    fn panel(&self, svg: &mut Svg, c: usize, n: usize) {
        let value = |t: usize| self.values[t * self.d() + c];
        let Some(y) = Axis::around((0..n).map(value), 0.08) else { return };
        let x = Axis::new(0.0, n as f64 + 1.0);
        let top = 30.0 + 190.0 * c as f64;
        let frame = Frame { left: 64.0, top, width: 640.0, height: 140.0, x, y };
        let is_last = c + 1 == self.d().min(MOST_COLUMNS);
        frame.x_ticks(svg, 8, true);
        frame.y_ticks(svg, 5, true);
        frame.names(svg, if is_last { "step" } else { "" }, &self.columns[c]);
        frame.open(svg);
        for begin in self.offsets.iter().filter(|begin| (1..n).contains(*begin)) {
            let place = px(frame.at_x(*begin as f64 + 0.5));
            svg.add(format_args!("<path class=\"grid\" d=\"M{place} 0V{}\"/>", px(frame.height)));
        }
        let mut begin = 0;
        for t in 1..=n {
            if t < n && self.states[t] == self.states[begin] && !self.offsets.contains(&t) {
                continue;
            }
            let state = self.states[begin];
            let level = self.chain.mean(state, c);
            if y.contains(level) {
                let ends = [(begin as f64 + 0.5, level), (t as f64 + 0.5, level)];
                let path = line(ends.into_iter().map(|(x, y)| (frame.at_x(x), frame.at_y(y))));
                svg.add(format_args!(
                    "<path class=\"k{}\" d=\"{path}\" style=\"fill:none;stroke:var(--k);stroke-width:6;opacity:.35\"/>",
                    color::index(state)
                ));
            }
            begin = t;
        }
        for (t, state) in self.states[..n].iter().enumerate() {
            if value(t).is_finite() {
                svg.add(format_args!(
                    "<circle class=\"k{}\" cx=\"{}\" cy=\"{}\" r=\"2.2\" style=\"fill:var(--k)\"/>",
                    color::index(*state),
                    px(frame.at_x(t as f64 + 1.0)),
                    px(frame.at_y(value(t)))
                ));
            }
        }
        Frame::close(svg);
    }

    fn states_table(&self) -> String {
        let shown = self.d().min(12);
        let mut header: Vec<String> =
            ["state", "share of steps", "initial", "mean duration"].map(Into::into).to_vec();
        header.extend(self.columns[..shown].iter().map(|name| format!("{name} (± sd)")));
        let durations = self.chain.mean_durations();
        let row = |(j, duration): (usize, &f64)| {
            let mut cells = format!("<th scope=\"row\">{}</th>", tables::badge(j));
            cells += &cell_of(&fixed(self.shares[j], 3));
            cells += &cell_of(&fixed(self.chain.initial()[j], 3));
            cells += &cell_of(&format!("{} steps", significant(*duration, 3)));
            for c in 0..shown {
                let (mean, sd) = (self.chain.mean(j, c), self.chain.std_dev(j, c));
                cells += &cell_of(&format!("{} ± {}", significant(mean, 4), significant(sd, 3)));
            }
            format!("<tr>{cells}</tr>\n")
        };
        let rows: String = durations.iter().enumerate().map(row).collect();
        tables::table("States, their shares and how long a visit lasts on average", &header, &rows)
    }

    /// The data of each column as bars, and what each state emits, by its share.
    fn densities(&self) -> String {
        (0..self.d().min(MOST_COLUMNS)).filter_map(|c| self.density(c)).map(|f| f.html()).collect()
    }

    fn density(&self, c: usize) -> Option<Figure> {
        let seen: Vec<f64> = self.values.iter().skip(c).step_by(self.d()).copied().collect();
        let is_whole = self.emission.structure().is_none();
        let around = Axis::around(seen.iter().copied(), if is_whole { 0.0 } else { 0.05 })?;
        let (low, high) = if is_whole {
            (around.low().floor().max(0.0) - 0.5, around.high().ceil() + 0.5)
        } else {
            (around.low(), around.high())
        };
        let bars = if is_whole && high - low <= 80.0 { (high - low).round() as usize } else { 40 };
        let width = (high - low) / bars as f64;
        let finite: Vec<f64> = seen.into_iter().filter(|x| x.is_finite()).collect();
        let mut heights = vec![0.0; bars];
        for x in &finite {
            let bar = (((x - low) / width) as usize).min(bars - 1);
            heights[bar] += 1.0 / (finite.len() as f64 * width);
        }
        let curve = |j: usize| -> Vec<(f64, f64)> {
            let points = if is_whole { (high - low).round() as usize } else { 240 };
            let at = |i: usize| {
                let x = low + (high - low) * (i as f64 + 0.5) / points as f64;
                let x = if is_whole { x.round() } else { x };
                (x, self.shares[j] * self.chain.density(j, c, x))
            };
            (0..points).map(at).collect()
        };
        let curves: Vec<_> = (0..self.chain.k()).map(curve).collect();
        let tallest = curves.iter().flatten().map(|(_, y)| *y).filter(|y| y.is_finite());
        let tallest = heights.iter().copied().chain(tallest).fold(0.0, f64::max);
        let y = Axis::new(0.0, if tallest > 0.0 { 1.08 * tallest } else { 1.0 });
        let mut svg = Svg::new(
            ["density0", "density1", "density2", "density3"][c],
            (720.0, 300.0),
            &format!("What the states emit in {}", short(&self.columns[c], 40)),
            &format!("A histogram of {} values under {} curves.", finite.len(), curves.len()),
        );
        let x = Axis::new(low, high);
        let frame = Frame { left: 64.0, top: 30.0, width: 640.0, height: 220.0, x, y };
        frame.x_ticks(&mut svg, 8, true);
        frame.y_ticks(&mut svg, 5, true);
        frame.names(&mut svg, &self.columns[c], if is_whole { "probability" } else { "density" });
        frame.open(&mut svg);
        for (bar, height) in heights.iter().enumerate() {
            let (left, right) =
                (frame.at_x(low + bar as f64 * width), frame.at_x(low + (bar + 1) as f64 * width));
            let top = frame.at_y(*height);
            svg.add(format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"fill:currentColor;opacity:.15\"/>",
                px(left),
                px(top),
                px((right - left - 1.0).max(0.5)),
                px((frame.height - top).max(0.0))
            ));
        }
        for (j, curve) in curves.iter().enumerate() {
            let points = curve.iter().filter(|(_, y)| y.is_finite());
            let path = line(points.map(|(x, y)| (frame.at_x(*x), frame.at_y(*y))));
            svg.add(format_args!(
                "<path class=\"k{}\" d=\"{path}\" style=\"fill:none;stroke:var(--k);stroke-width:2\"/>",
                color::index(j)
            ));
        }
        Frame::close(&mut svg);
        let caption = format!(
            "{}: all values as bars, and what each state emits, by its share of the steps.",
            self.columns[c]
        );
        Some(Figure { svg: svg.finish(), caption })
    }

    /// The transition matrix as a heat map.
    fn transitions(&self) -> Figure {
        let k = self.chain.k();
        let side = (440.0 / k as f64).min(72.0);
        let size = side * k as f64;
        let mut svg = Svg::new(
            "transitions",
            (size + 90.0, size + 60.0),
            "Transition probabilities",
            "One row per state that is left, one column per state that is entered.",
        );
        for i in 0..k {
            let center = 44.0 + (i as f64 + 0.5) * side;
            svg.text((52.0, center + 4.0), "tick end", &(i + 1).to_string());
            svg.text((16.0 + center, 36.0), "tick middle", &(i + 1).to_string());
            for (j, p) in self.chain.transition(i).iter().enumerate() {
                let (x, y) = (60.0 + j as f64 * side, 44.0 + i as f64 * side);
                svg.add(format_args!(
                    "<g><title>{} to {}: {}</title><rect class=\"k0\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"fill:var(--k);opacity:{}\"/></g>",
                    i + 1,
                    j + 1,
                    significant(*p, 4),
                    px(x),
                    px(y),
                    px(side - 1.0),
                    px(side - 1.0),
                    fixed(0.04 + 0.8 * p, 3)
                ));
                if side >= 34.0 {
                    svg.text((x + 0.5 * side, y + 0.5 * side + 4.0), "tick middle", &fixed(*p, 3));
                }
            }
        }
        let caption = "Probability of each state (column) one step after another (row); darker is more probable.";
        Figure { svg: svg.finish(), caption: caption.into() }
    }
}

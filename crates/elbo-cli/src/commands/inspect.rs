//! `elbo inspect`.

use super::{chain, print};
use elbo::core::Criterion;

use crate::{
    args::Inspect,
    chain::SavedChain,
    error::Error,
    model::{Saved, SavedModel},
    number::{count, fixed},
    summary::{MixtureSummary, describe},
    text::{self, Paint},
};

/// Shows a fitted model.
pub(super) fn run(args: &Inspect) -> Result<(), Error> {
    if let Some(saved) = SavedChain::read(&args.model)? {
        return chain::inspect(args, &saved);
    }
    let saved = match SavedModel::read(&args.model)? {
        SavedModel::Mixture(saved) => saved,
        SavedModel::Centers(saved) if args.terminal.json => return print(|out| saved.write(out)),
        SavedModel::Centers(saved) => {
            let summary = super::fit::clusters(&saved, false);
            return print(|mut out| text::clusters(&mut out, Paint::for_stdout(), &summary));
        }
    };
    if args.terminal.json {
        return print(|out| saved.write(out));
    }
    let paint = Paint::for_stdout();
    let summary = summary(&saved);
    print(|mut out| {
        let objective = saved.estimator.objective();
        writeln!(
            out,
            "{}: a mixture of highest {objective}, {} free parameters",
            args.model.display(),
            saved.model.free_parameters()
        )?;
        if let Some(fit) = &saved.fit {
            let converged = if fit.converged { "converged" } else { "not converged" };
            writeln!(
                out,
                "data: {}, {} rows; log-likelihood {}, BIC {}, AIC {}, ICL {}",
                fit.source,
                count(fit.n),
                fixed(fit.log_likelihood, 3),
                fixed(fit.bic, 2),
                fixed(fit.aic, 2),
                fixed(fit.icl, 2)
            )?;
            writeln!(
                out,
                "{converged} ({}) after {} iterations; {} of {} starts reached the best optimum; seed {}",
                fit.stopped.replace('_', " "),
                fit.iterations,
                fit.reached,
                fit.starts,
                fit.seed
            )?;
        }
        writeln!(out)?;
        text::parameters(&mut out, paint, &summary)?;
        text::warnings(&mut out, paint, &summary.warnings)
    })
}

/// The model alone, as the terminal shows it.
fn summary(saved: &Saved) -> MixtureSummary {
    MixtureSummary {
        source: saved.fit.as_ref().map_or(String::new(), |fit| fit.source.clone()),
        n: saved.fit.as_ref().map_or(0, |fit| fit.n),
        missing: 0,
        columns: saved.columns.clone(),
        kind: saved.model.kind(),
        structure: describe(saved.model.structure(), saved.model.d()),
        components: saved.model.components(),
        objective: saved.estimator.objective(),
        criterion: Criterion::Bic,
        candidates: Vec::new(),
        starts: Vec::new(),
        warnings: saved.fit.as_ref().map_or(Vec::new(), |fit| fit.warnings.clone()),
        run: Vec::new(),
    }
}

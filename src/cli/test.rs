//! `test`: plays scenarios side by side and tells them in the order of their files.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    num::NonZero,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use tokio::{runtime, select, time::sleep};

use super::{Done, Test, exit, output};
use crate::{
    diagnostic::{Diagnostic, counted, is_refused, render},
    engine::watch::Watch,
    lua::ScriptSpec,
    report::{Reporter, log},
    rules::{
        Caps, RuleSet,
        inputs::{Fingerprint, Inputs},
    },
    scenario::{self, Outcome, Suite},
    schema::Catalog,
};

mod junit;

/// How often it is looked whether there are other scenario files.
const LOOK: Duration = Duration::from_millis(500);

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line for each scenario, and what is wrong below it.
    Human,
    /// JUnit's XML, on standard output.
    Junit,
}

/// A scenario file with the rules that it is about.
struct Loaded {
    suite: Suite,
    rules: Arc<RuleSet>,
}

/// A scenario that was played, or could not be: of which file, its name, what became of it.
struct Played {
    file: PathBuf,
    name: String,
    outcome: Outcome,
}

/// What one look at all files came to.
struct Round {
    /// The scenario files.
    files: Vec<PathBuf>,
    loaded: Vec<Loaded>,
    /// Mistakes that keep scenarios from being played, by the scenario file; those of no file come first.
    mistakes: Vec<(Option<PathBuf>, Vec<Diagnostic>)>,
    /// All that was read.
    held: BTreeMap<PathBuf, Fingerprint>,
}

pub(super) fn run(arguments: &Test) -> Done {
    if arguments.watch {
        return watch(arguments);
    }
    let round = load(arguments);
    if play(arguments, &round) { Ok(()) } else { Err(exit::MISTAKE) }
}

/// Plays again whenever something changes, until the process is ended.
fn watch(arguments: &Test) -> Done {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(exit::IO, &error.to_string()),
    };
    loop {
        let round = load(arguments);
        play(arguments, &round);
        output::answer("\nwaiting for changes; Ctrl-C ends\n\n");
        runtime.block_on(async {
            let mut files = Watch::new(Reporter::default());
            files.set(round.held);
            select! {
                () = files.changed() => {}
                () = others(&arguments.paths, &round.files) => {}
            }
        });
    }
}

/// Waits until there are other scenario files than these.
async fn others(paths: &[PathBuf], before: &[PathBuf]) {
    while scenario::find(paths).0 == before {
        sleep(LOOK).await;
    }
}

/// Reads scenarios, and the rules and scripts that they are about, each once.
fn load(arguments: &Test) -> Round {
    let (inputs, caps) = (Inputs::default(), arguments.caps.caps());
    let (files, told) = scenario::find(&arguments.paths);
    let mut mistakes = Vec::new();
    mistakes.extend((!told.is_empty()).then_some((None, told)));
    let mut known: BTreeMap<Vec<PathBuf>, (Arc<RuleSet>, bool)> = BTreeMap::new();
    let mut loaded = Vec::new();
    for file in files.iter().cloned() {
        let suite = match scenario::read(&file, &inputs) {
            Ok(suite) => suite,
            Err(told) => {
                mistakes.push((Some(file), told));
                continue;
            }
        };
        if !known.contains_key(&suite.rules) {
            let (rules, told) = rules(&suite, &caps, &inputs);
            let refused = is_refused(&told);
            mistakes.extend((!told.is_empty()).then(|| (refused.then(|| file.clone()), told)));
            known.insert(suite.rules.clone(), (Arc::new(rules), refused));
        }
        match known.get(&suite.rules) {
            Some((rules, false)) => loaded.push(Loaded { rules: Arc::clone(rules), suite }),
            // Told above, for the first file that is about them.
            _ if mistakes.iter().any(|(told, _)| told.as_ref() == Some(&file)) => {}
            _ => {
                let message = format!("`{}` is not played: there are mistakes in its rules", file.display());
                mistakes.push((Some(file), vec![Diagnostic::error("not-played", message)]));
            }
        }
    }
    Round { files, loaded, mistakes, held: inputs.all() }
}

/// Reads the rules of a suite with their scripts.
fn rules(suite: &Suite, caps: &Caps, inputs: &Inputs) -> (RuleSet, Vec<Diagnostic>) {
    let (rules, mut told) = RuleSet::load_within(&suite.rules, Catalog::embedded(), caps);
    let scripts = ScriptSpec::group_all(&rules);
    told.extend(ScriptSpec::check_each(scripts.iter().cloned()));
    for read in scripts.iter().map(|script| &script.inputs).chain([&rules.inputs]) {
        for (path, held) in read.all() {
            inputs.add(path, held);
        }
    }
    for diagnostic in told.iter_mut().filter(|diagnostic| diagnostic.place.is_none()) {
        // A rule file that is missing: who asks for it is worth knowing.
        diagnostic.place.clone_from(&suite.named);
    }
    (rules, told)
}

/// Plays and tells; whether all passed.
fn play(arguments: &Test, round: &Round) -> bool {
    let begun = Instant::now();
    let human = arguments.format == Format::Human;
    for (_, told) in &round.mistakes {
        output::tell(&(render::human(told, log::colour(), render::WIDTH) + "\n"));
    }
    let wanted = |name: &str| arguments.filter.as_ref().is_none_or(|text| name.contains(text.as_str()));
    let jobs: Vec<(usize, usize)> = round
        .loaded
        .iter()
        .enumerate()
        .flat_map(|(suite, loaded)| (0..loaded.suite.scenarios.len()).map(move |scenario| (suite, scenario)))
        .filter(|(suite, scenario)| wanted(&round.loaded[*suite].suite.scenarios[*scenario].name))
        .collect();
    let mut all = Vec::new();
    side_by_side(round, &arguments.caps.caps(), &jobs, |played| {
        if human {
            output::answer(&told(&played));
        }
        all.push(played);
    });
    let refused = round.mistakes.iter().any(|(_, told)| is_refused(told));
    let failed = all.iter().filter(|played| !played.outcome.findings.is_empty()).count();
    let nothing = jobs.is_empty() && !refused;
    if nothing {
        let text = arguments.filter.as_deref().unwrap_or_default();
        output::tell(&output::failed(&format!("no scenario has `{}` in its name", text.escape_debug())));
    }
    if human {
        output::answer(&summary(&all, failed, round, begun.elapsed()));
    } else {
        output::answer(&junit::report(&all, &round.mistakes, begun.elapsed()));
    }
    failed == 0 && !refused && !nothing
}

/// Plays as many at one time as the machine has cores, each with a world of its own; tells each in its turn.
fn side_by_side(round: &Round, caps: &Caps, jobs: &[(usize, usize)], mut tell: impl FnMut(Played)) {
    let cores = thread::available_parallelism().map_or(1, NonZero::get).min(jobs.len());
    let queue = Mutex::new(jobs.iter().copied().enumerate().collect::<VecDeque<_>>());
    let (done, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..cores {
            let (done, queue) = (done.clone(), &queue);
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((at, (suite, scenario))) = next else { return };
                    let Loaded { suite, rules } = &round.loaded[suite];
                    let outcome = one(rules, caps, &suite.scenarios[scenario]);
                    let (file, name) = (suite.file.clone(), suite.scenarios[scenario].name.clone());
                    if done.send((at, Played { file, name, outcome })).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (at, played) in outcomes {
            early.insert(at, played);
            while let Some(played) = early.remove(&next) {
                tell(played);
                next += 1;
            }
        }
    });
}

fn one(rules: &RuleSet, caps: &Caps, story: &scenario::Scenario) -> Outcome {
    let failed = |message: String| {
        let diagnostic = Diagnostic::error("not-started", message).at(story.place.clone());
        Outcome { findings: vec![scenario::Finding { diagnostic, lines: Vec::new() }], took: Duration::ZERO }
    };
    let aside = tempfile::tempdir().and_then(|aside| Ok((aside.path().canonicalize()?, aside)));
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    match (aside, runtime) {
        (Ok((path, aside)), Ok(runtime)) => {
            let outcome = runtime.block_on(scenario::play(rules, caps, story, Some(path)));
            runtime.shutdown_background();
            drop(aside);
            outcome
        }
        (Err(error), _) | (_, Err(error)) => failed(error.to_string()),
    }
}

/// A line for a scenario, and what is wrong with it.
fn told(played: &Played) -> String {
    let Played { file, name, outcome } = played;
    let passed = outcome.findings.is_empty();
    let (word, colour) = if passed { ("ok  ", "32") } else { ("FAIL", "1;31") };
    let word = if log::colour() { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() };
    let mut text = format!("{word}  {}: {}\n", file.display(), log::escaped(name));
    if !passed {
        text.push('\n');
        text.push_str(&findings(outcome, log::colour()));
        text.push('\n');
    }
    text
}

/// What is not as expected, as people read it.
fn findings(outcome: &Outcome, colour: bool) -> String {
    let shown = outcome.findings.iter().map(|finding| {
        let mut text = render::human(std::slice::from_ref(&finding.diagnostic), colour, render::WIDTH);
        for line in &finding.lines {
            _ = writeln!(text, "    {}", log::escaped(line));
        }
        text
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn summary(all: &[Played], failed: usize, round: &Round, took: Duration) -> String {
    let files = round.mistakes.iter().filter(|(file, told)| file.is_some() && is_refused(told)).count();
    let counts = [
        Some(format!("{} passed", all.len() - failed)),
        (failed > 0).then(|| format!("{failed} failed")),
        (files > 0).then(|| format!("{} not played", counted(files, "file"))),
    ];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    format!("\n{} in {:.1} s\n", counts.join(", "), took.as_secs_f64())
}

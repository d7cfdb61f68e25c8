//! A family of scripts in one host: each is attacked, and must go on as if nothing had been, and so must all others.

use std::{
    collections::VecDeque,
    env,
    fmt::Write as _,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use olvid_rules::simulator::Reply;

use crate::{
    refusal::check,
    script::{Script, folder},
    site::{KEY, Site},
    told::{Line, Told, cut},
};

/// How long anything may take that is not measured: far more than it needs on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Scripts that are under attack at one time.
const AT_A_TIME: usize = 4;

/// The canary's discussion; those of the scripts follow.
const CANARY: u64 = 1;

/// What a host may keep of it all, in kilobytes: what C's allocator holds back, and what some seventy VMs keep of their
/// variables. Rounds that leave something behind each time are what `long.rs` looks for.
const SLACK: u64 = 96 << 10;

/// The canary's rule. It says all it sees, however much that is.
const CANARY_RULE: &str = "rules:
  - { name: canary, subscription: message_received, filter: { discussion_id: 1 }, handler: witness.lua, log_rate: 0 }
";

/// What the scripts find in their directory, and around it.
const SURROUNDINGS: &str = r#"
mkdir -p ../away folder.lua
echo "print 'escaped'" | tee ../secret.lua ../away/secret.lua > ../away/init.lua
ln -s ../secret.lua outside.lua
ln -s ../../secret.lua lib/outside.lua
ln -s ../away away
ln -s /dev/zero device.lua
mkfifo pipe.lua
head -c 2097152 /dev/zero | tr '\0' ' ' > large.lua
printf '\033Lua\377\376' > binary.lua
printf '%s\n' "$NEW" | tee key secret_key.lua > ../key
echo "OLVID_CLIENT_KEY=$NEW" > .env
"#;

/// The socket on which a host tells its figures.
pub(crate) const LISTEN: &str = "metrics.sock";

/// The program under test: another build than that of the tests where the variable says so.
pub(crate) fn with_program(command: &Command, variable: &str) -> Command {
    let program = env::var_os(variable).unwrap_or_else(|| command.get_program().to_owned());
    let mut other = Command::new(program);
    other.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}

/// A site with all scripts in it, and no rules.
pub(crate) fn site() -> Site {
    let site = Site::new(&[]);
    for below in ["", "lib"] {
        for entry in fs::read_dir(folder().join(below)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "lua") {
                let name = path.strip_prefix(folder()).unwrap().to_str().unwrap();
                site.write(name, fs::read(&path).unwrap());
            }
        }
    }
    site.shell(SURROUNDINGS, KEY);
    site
}

/// What went wrong.
#[derive(Default)]
pub(crate) struct Complaints(Vec<String>);

impl Complaints {
    pub(crate) fn add(&mut self, about: &str, complaint: impl Into<String>) {
        self.0.push(format!("{about}: {}", complaint.into()));
    }

    pub(crate) fn assert_none(self) {
        assert!(self.0.is_empty(), "\n{}\n{} complaints", self.0.join("\n"), self.0.len());
    }
}

/// A host with rules for scripts.
pub(crate) struct Host<'a> {
    pub(crate) site: &'a Site,
    pub(crate) told: Told,
    pub(crate) scripts: Vec<&'a Script>,
    beats: usize,
    threads: usize,
    kilobytes: u64,
}

/// An attack that is under way.
struct Attack {
    number: usize,
    since: Instant,
}

impl<'a> Host<'a> {
    /// Starts it, and waits until all streams are open.
    pub(crate) fn start(site: &'a Site, scripts: Vec<&'a Script>) -> Result<Self, String> {
        Self::start_with(site, scripts, &[], &[])
    }

    /// The same, with keys of all rules and variables.
    pub(crate) fn start_with(
        site: &'a Site,
        scripts: Vec<&'a Script>,
        keys: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        site.write("canary.yaml", CANARY_RULE);
        let listen = format!("unix:{LISTEN}");
        let fixed = ["run", "--log-format", "json", "--listen", &listen, "canary.yaml"];
        let mut arguments: Vec<_> = fixed.map(str::to_owned).into();
        for (number, script) in scripts.iter().enumerate() {
            let mut rules = script.rules(discussion(number), keys);
            if script.name.starts_with("poi") {
                write!(rules, "{}", CANARY_RULE.replace("rules:\n", "").replace("canary", &witness(script))).unwrap();
                rules = rules.replace("discussion_id: 1 ", &format!("discussion_id: {} ", discussion(number)));
            }
            let file = format!("{}.yaml", script.name);
            site.write(&file, rules);
            arguments.push(file);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        site.simulator.script("keycloak_user_list", Reply::Never, 1000);
        let mut command = with_program(&site.command(&arguments), "OLVID_RULES_TEST_PROGRAM");
        command.envs(variables.iter().copied());
        let told = Told::start(&mut command);
        let opened = |lines: &[Line]| {
            let events = lines.iter().filter(|line| line.event["event"] == "feed_opened");
            events.map(|line| line.event["streams"].as_u64().unwrap_or(1)).sum::<u64>() > scripts.len() as u64
        };
        if !told.until(PATIENCE, opened) {
            return Err(format!("it does not start:\n{}", told.last(20)));
        }
        let mut host = Self { site, told, scripts, beats: 0, threads: 0, kilobytes: 0 };
        host.beat();
        if !host.is_answered(1) {
            return Err(format!("the canary is silent:\n{}", host.told.last(20)));
        }
        (host.threads, host.kilobytes) = (host.told.script_threads(), host.told.status("VmRSS"));
        Ok(host)
    }

    /// Has the canary sing.
    pub(crate) fn beat(&mut self) {
        self.beats += 1;
        self.site.emit(CANARY, &format!("beat {}", self.beats));
    }

    fn is_answered(&self, beat: usize) -> bool {
        let song = format!("seen beat {beat}");
        let is_song = |line: &Line| line.is("said", "canary") && line.event["message"] == *song;
        self.told.until(PATIENCE, |lines| lines.iter().any(is_song))
    }

    /// Attacks all scripts, a few at a time, and the canary sings meanwhile. Returns those that do not go on.
    pub(crate) fn attack_all(&mut self, at_a_time: usize) -> Vec<usize> {
        let mut ahead: VecDeque<usize> = (0..self.scripts.len()).collect();
        let (mut under_way, mut lost) = (Vec::<Attack>::new(), Vec::new());
        while !(self.told.has_ended() || ahead.is_empty() && under_way.is_empty()) {
            while let Some(number) = ahead.pop_front_if(|_| under_way.len() < at_a_time) {
                self.attack(number);
                under_way.push(Attack { number, since: Instant::now() });
            }
            let before = under_way.len();
            under_way.retain(|attack| !self.is_through(attack.number));
            under_way.retain(|attack| {
                let is_late = attack.since.elapsed() > PATIENCE;
                lost.extend(is_late.then_some(attack.number));
                !is_late
            });
            if under_way.len() < before { self.beat() } else { self.told.wait(Duration::from_millis(200)) }
        }
        lost
    }

    /// The three messages that each script gets.
    pub(crate) fn attack(&self, number: usize) {
        for body in ["attack", "next", "end"] {
            self.site.emit(discussion(number), body);
        }
    }

    /// Whether a script has handled all three of its messages, in whichever way, and what is told of that.
    pub(crate) fn is_through(&self, number: usize) -> bool {
        let script = self.scripts[number];
        let lines = self.told.lines();
        let of_rule = lines.0.iter().filter(|line| line.event["rule"] == *script.name);
        let (mut is_end, mut failures, mut alive) = (false, 0, false);
        for line in of_rule {
            is_end |= line.event["message"] == "end";
            alive |= line.event["message"] == "alive";
            failures += usize::from(is_failure(line));
        }
        let fails = script.outcome("ok", "").is_none();
        let all_witnesses = || {
            let witness = witness(script);
            lines.0.iter().filter(|line| line.is("said", &witness)).count() == 3
        };
        let seen = !script.name.starts_with("poi") || all_witnesses();
        seen && (is_end && alive && (failures > 0 || !fails) || failures == 3)
    }

    /// Compares what came of each script with what must.
    pub(crate) fn judge(&self, lost: &[usize], complaints: &mut Complaints) {
        for (number, script) in self.scripts.iter().enumerate() {
            let lines = self.told.lines();
            let own: Vec<&Line> = lines.0.iter().filter(|line| line.event["rule"] == *script.name).collect();
            let failures: Vec<_> = own.iter().filter(|line| is_failure(line)).collect();
            let messages: Vec<_> =
                own.iter().filter(|line| line.event["event"] == "said").map(|line| line.text_of("message")).collect();
            let first = failures.first().map_or(("ok", ""), |line| (kind_of(line), line.text_of("message")));
            if lost.contains(&number) {
                complaints.add(&script.name, format!("it does not go on; {}", shown(&own)));
                continue;
            }
            let Some(outcome) = script.outcome(first.0, first.1) else {
                complaints.add(&script.name, format!("{} {:?}", first.0, cut(first.1)));
                continue;
            };
            for failure in failures.iter().skip(1) {
                complaints.add(&script.name, format!("and then: {}", cut(&failure.text)));
            }
            if !messages.contains(&"alive") {
                complaints.add(&script.name, "the next notification was not handled");
            }
            for words in
                outcome.prints.iter().filter(|words| !messages.iter().any(|said| said.starts_with(words.as_str())))
            {
                complaints.add(&script.name, format!("did not say {words:?}; {}", shown(&own)));
            }
            for event in outcome.tells.iter().filter(|event| !own.iter().any(|line| line.event["event"] == **event)) {
                complaints.add(&script.name, format!("no {event} is told; {}", shown(&own)));
            }
            if let Some(place) = failures.iter().find_map(|failure| forged_place(script, failure)) {
                complaints.add(&script.name, format!("the place is {place:?}"));
            }
        }
    }

    /// Looks at what the host has in use when all is over.
    pub(crate) fn judge_leftovers(&mut self, complaints: &mut Complaints) {
        for beat in 1..=self.beats {
            if !self.is_answered(beat) {
                complaints.add("canary", format!("silent at beat {beat}"));
                return;
            }
        }
        let deadline = Instant::now() + PATIENCE;
        while self.told.script_threads() != self.threads && Instant::now() < deadline {
            self.told.wait(Duration::from_millis(20));
        }
        if self.told.script_threads() != self.threads {
            complaints.add("threads", format!("{} at first, {} at last", self.threads, self.told.script_threads()));
        }
        let kilobytes = self.told.status("VmRSS");
        if kilobytes > self.kilobytes + SLACK {
            complaints.add("memory", format!("{} kB at first, {kilobytes} kB at last", self.kilobytes));
        }
    }

    /// Stops it, and looks at its whole log, and at what it has sent.
    pub(crate) fn stop(mut self, complaints: &mut Complaints) {
        self.told.terminate();
        let Some((status, lines)) = self.told.ended(PATIENCE) else {
            return complaints.add("host", format!("it does not stop\n{}", self.told.last(10)));
        };
        if status.code() != Some(0) {
            complaints.add("host", format!("{status}\n{}", self.told.last(10)));
        }
        for line in &lines {
            judge_line(line, complaints);
        }
        let all: String = self.site.simulator.recorded().iter().map(|sent| sent.json().to_string()).collect();
        for harmful in [KEY, "escaped"].into_iter().filter(|harmful| all.contains(harmful)) {
            complaints.add("sent", format!("{harmful} was sent"));
        }
    }
}

pub(crate) fn discussion(number: usize) -> u64 {
    100 + number as u64
}

/// The rule that sees the same notifications in another script.
fn witness(script: &Script) -> String {
    format!("{} witness", script.name)
}

/// Whether a run has not succeeded, in whichever way.
pub(crate) fn is_failure(line: &Line) -> bool {
    line.event["event"] == "run_failed" || line.event["event"] == "run_abandoned"
}

/// How it has failed; a thread that was given up has no kind.
pub(crate) fn kind_of(line: &Line) -> &str {
    if line.event["kind"].is_string() { line.text_of("kind") } else { line.text_of("event") }
}

fn shown(lines: &[&Line]) -> String {
    let texts: Vec<_> = lines.iter().rev().take(4).rev().map(|line| cut(&line.text)).collect();
    if texts.is_empty() { "nothing is told".to_owned() } else { format!("last:\n    {}", texts.join("\n    ")) }
}

/// The place of a failure, where that is no place in the script or its modules. What a script compiles bears any name.
fn forged_place(script: &Script, failure: &Line) -> Option<String> {
    let (place, own) = (failure.text_of("place"), format!("{}.lua", script.name));
    let is_own =
        [own.as_str(), "./attack.lua", "./lib/", "attack.lua", "lib/"].iter().any(|known| place.starts_with(known));
    let is_loaded = place.starts_with("(load") && script.text.contains("load(");
    (!place.is_empty() && !is_own && !is_loaded).then(|| place.to_owned())
}

/// A line is an event and nothing else, tells no secret, and nobody has escaped in it.
pub(crate) fn judge_line(line: &Line, complaints: &mut Complaints) {
    let is_text = |key: &&str| line.event[*key].is_string();
    let is_event = ["timestamp", "level", "event", "message"].iter().all(is_text);
    let is_known_level = ["debug", "info", "warn", "error"].contains(&line.text_of("level"));
    if !is_event || !is_known_level {
        complaints.add("log", format!("no event: {}", cut(&line.text)));
    }
    if line.text.contains(KEY) {
        complaints.add("log", format!("the key is in {}", cut(&line.text)));
    }
    if line.text.chars().any(is_harmful) || line.text.len() > 64 << 10 {
        complaints.add("log", format!("harmful, or {} bytes long: {}", line.text.len(), cut(&line.text)));
    }
    if line.text_of("message").starts_with("escaped") {
        complaints.add("log", cut(&line.text));
    }
}

fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Attacks the scripts of a family. Those that might be refused have a host of their own: nothing of a set starts where one
/// does not.
pub(crate) fn attack(scripts: &[Script], family: &str) {
    let site = site();
    let mut complaints = Complaints::default();
    let runs = |script: &&Script| script.name.starts_with(family) && script.may_run();
    let (doubtful, sure): (Vec<_>, Vec<_>) = scripts.iter().filter(runs).partition(|script| script.may_be_refused());
    let accepted = doubtful.into_iter().filter(|script| check(&site, script).0.is_empty());
    for scripts in accepted.map(|script| vec![script]).chain([sure]).filter(|scripts| !scripts.is_empty()) {
        attack_together(&site, scripts, &mut complaints);
    }
    complaints.assert_none();
}

fn attack_together(site: &Site, scripts: Vec<&Script>, complaints: &mut Complaints) {
    let mut host = match Host::start(site, scripts) {
        Ok(host) => host,
        Err(complaint) => return complaints.add("host", complaint),
    };
    let lost = host.attack_all(AT_A_TIME);
    host.judge(&lost, complaints);
    if host.told.has_ended() {
        complaints.add("host", format!("it has ended\n{}", host.told.last(10)));
    } else {
        host.judge_leftovers(complaints);
    }
    host.stop(complaints);
}

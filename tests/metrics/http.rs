//! A client that says what it is told to say, and what was answered.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take, and how often it is looked at.
const PATIENCE: Duration = Duration::from_mins(1);
const GLANCE: Duration = Duration::from_millis(5);

/// Where a host answers.
#[derive(Debug, Clone)]
pub(crate) enum At {
    Port(String),
    Socket(PathBuf),
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The form that Prometheus asks for first.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

impl At {
    /// Says this, and reads to the end.
    pub(crate) fn say(&self, request: &[u8]) -> Option<Answer> {
        match self {
            Self::Port(address) => exchange(TcpStream::connect(address).ok()?, request),
            Self::Socket(path) => exchange(UnixStream::connect(path).ok()?, request),
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, accept: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nAccept: {accept}\r\n\r\n");
        self.say(request.as_bytes()).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "*/*")
    }

    /// What is measured now.
    pub(crate) fn scrape(&self) -> Exposition {
        let answer = self.ask("GET", "/metrics", OPENMETRICS);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("application/openmetrics-text; version=1.0.0"), "{}", answer.head);
        Exposition::of(answer.body)
    }

    /// Waits until what is measured is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Exposition) -> bool) -> Exposition {
        let since = Instant::now();
        loop {
            let scraped = self.scrape();
            if is_so(&scraped) {
                return scraped;
            }
            assert!(since.elapsed() < PATIENCE, "not {what}:\n{}", scraped.text);
            thread::sleep(GLANCE);
        }
    }

    /// Waits until a page is answered so.
    pub(crate) fn until_page(&self, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
        let since = Instant::now();
        loop {
            let answer = self.get(path);
            if is_so(&answer) {
                return answer;
            }
            assert!(since.elapsed() < PATIENCE, "{path}: {answer:?}");
            thread::sleep(GLANCE);
        }
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Answer> {
    // Who is refused may find the connection closed before all is said.
    let _said = stream.write_all(request);
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().unwrap();
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// A text of metrics.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) text: String,
    /// By name and labels, as they are written.
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    fn of(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    /// The value of a series, by a name of ours and its labels.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.samples.get(&format!("olvid_rules_{series}")).or_else(|| self.samples.get(series)).copied()
    }

    /// The same, where it has to be there.
    #[track_caller]
    pub(crate) fn at(&self, series: &str) -> f64 {
        self.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// Whether there is a series of a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.samples.keys().any(|series| series.split('{').next() == Some(name))
    }
}

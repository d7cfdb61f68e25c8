//! The YAML language server as an editor runs it: opens files, completes, and hears what is wrong with them.
//!
//! It is installed from npm at the versions of `tests/editor/package-lock.json`; nothing that its packages would run is run.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value as Json, json};

use crate::prepared::{had, prepared, run};

const LOCKED: [(&str, &str); 2] =
    [("package.json", include_str!("package.json")), ("package-lock.json", include_str!("package-lock.json"))];

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Server {
    process: Child,
    input: ChildStdin,
    heard: mpsc::Receiver<Json>,
    /// What the editor answers when it is asked for the settings of a section.
    settings: Json,
    /// What was last said of each file.
    told: BTreeMap<String, Vec<Json>>,
    /// The files that are open, with how often each was changed.
    opened: BTreeMap<String, u64>,
    asked: u64,
}

impl Server {
    /// Starts one for a folder, with an editor's settings; none where it cannot be had.
    pub(crate) fn start(folder: &Path, settings: &Json) -> Option<Self> {
        let program = had("yaml-language-server", prepared("editor", LOCKED[1].1.trim(), install))?;
        let mut process = Command::new("node")
            .arg(program)
            .arg("--stdio")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (tell, heard) = mpsc::channel();
        thread::spawn(move || listen(output, &tell));
        let mut yaml = json!({ "schemaStore": { "enable": false }, "validate": true, "completion": true });
        for (key, value) in settings.as_object().unwrap() {
            if let Some(key) = key.strip_prefix("yaml.") {
                yaml[key] = value.clone();
            }
        }
        let settings = json!({ "yaml": yaml });
        let mut server =
            Self { process, input, heard, settings, told: BTreeMap::new(), opened: BTreeMap::new(), asked: 0 };
        let folder = json!({ "uri": uri(folder), "name": "project" });
        let able = json!({ "workspace": { "configuration": true, "workspaceFolders": true }, "textDocument": {} });
        let begin = json!({
            "processId": null, "rootUri": folder["uri"], "workspaceFolders": [folder], "capabilities": able,
        });
        server.ask("initialize", &begin);
        server.say(&json!({ "method": "initialized", "params": {} }));
        while server.hear()["method"] != "workspace/configuration" {}
        Some(server)
    }

    /// What may be written at a place of a text, from 0, as it is offered.
    pub(crate) fn completions(&mut self, file: &Path, text: &str, line: usize, column: usize) -> Vec<String> {
        self.open(file, text);
        let place = json!({
            "textDocument": { "uri": uri(file) }, "position": { "line": line, "character": column },
        });
        let answer = self.ask("textDocument/completion", &place);
        let items = answer.get("items").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    /// What is wrong with a text: the lines, from 1, and the words.
    pub(crate) fn mistakes(&mut self, file: &Path, text: &str) -> Vec<(u64, String)> {
        self.open(file, text);
        while !self.told.contains_key(&uri(file)) {
            self.hear();
        }
        let told = &self.told[&uri(file)];
        let place = |told: &Json| told["range"]["start"]["line"].as_u64().unwrap() + 1;
        told.iter().map(|told| (place(told), told["message"].as_str().unwrap().to_owned())).collect()
    }

    /// Opens a file, or changes all of one that is open.
    fn open(&mut self, file: &Path, text: &str) {
        let uri = uri(file);
        self.told.remove(&uri);
        let version = self.opened.entry(uri.clone()).or_default();
        *version += 1;
        let message = if *version == 1 {
            let document = json!({ "uri": uri, "languageId": "yaml", "version": version, "text": text });
            json!({ "method": "textDocument/didOpen", "params": { "textDocument": document } })
        } else {
            let document = json!({ "uri": uri, "version": version });
            let params = json!({ "textDocument": document, "contentChanges": [{ "text": text }] });
            json!({ "method": "textDocument/didChange", "params": params })
        };
        self.say(&message);
    }

    fn ask(&mut self, method: &str, with: &Json) -> Json {
        self.asked += 1;
        let id = format!("ours {}", self.asked);
        self.say(&json!({ "id": id, "method": method, "params": with }));
        loop {
            let heard = self.hear();
            if heard["id"] == id {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].clone();
            }
        }
    }

    /// Takes what the server says next; answers what it asks.
    fn hear(&mut self) -> Json {
        let heard = self.heard.recv_timeout(PATIENCE).unwrap();
        match heard["method"].as_str() {
            Some("workspace/configuration") => {
                let items = heard["params"]["items"].as_array().unwrap();
                let asked = items.iter().map(|item| self.settings[item["section"].as_str().unwrap()].clone());
                let answers: Vec<_> = asked.collect();
                self.say(&json!({ "id": heard["id"], "result": answers }));
            }
            Some("textDocument/publishDiagnostics") => {
                let told = heard["params"]["diagnostics"].as_array().unwrap().clone();
                self.told.insert(heard["params"]["uri"].as_str().unwrap().to_owned(), told);
            }
            Some(_) if heard.get("id").is_some() => self.say(&json!({ "id": heard["id"], "result": null })),
            _ => {}
        }
        heard
    }

    fn say(&mut self, message: &Json) {
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listen(output: ChildStdout, tell: &mpsc::Sender<Json>) {
    let mut output = BufReader::new(output);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim().split_once(": ") {
                Some(("Content-Length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut text = vec![0; length];
        let read = output.read_exact(&mut text);
        if read.is_err() || tell.send(serde_json::from_slice(&text).unwrap()).is_err() {
            return;
        }
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn install(home: &Path) -> Result<PathBuf, String> {
    for (name, text) in LOCKED {
        fs::write(home.join(name), text).map_err(|error| error.to_string())?;
    }
    run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(home))?;
    let program = home.join("node_modules/yaml-language-server/bin/yaml-language-server");
    run(Command::new("node").arg("--check").arg(&program))?;
    Ok(program)
}

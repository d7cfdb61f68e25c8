//! An HTTP/2 server on plain sockets that sends what no well-behaved one does. A script plays each connection, on a thread
//! of its own; frames are bytes.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags of frames: the end of a stream (an acknowledgement with settings and pings), and of its headers.
pub(crate) const END: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Settings by number.
pub(crate) const MAX_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// A server; its listener and connections end when dropped.
pub(crate) struct RawServer {
    address: SocketAddr,
    sockets: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl RawServer {
    /// Plays a script for each connection, which it gets with its number.
    pub(crate) fn start(script: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = Arc::new(Mutex::new(Some(Vec::new())));
        let (kept, script) = (Arc::clone(&sockets), Arc::new(script));
        thread::spawn(move || {
            for (number, socket) in listener.incoming().map_while(Result::ok).enumerate() {
                let Some(kept) = &mut *kept.lock().unwrap() else { return };
                kept.push(socket.try_clone().unwrap());
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    socket.set_nodelay(true).unwrap();
                    // A client that leaves in the middle is what the tests are about.
                    drop(script(number, &mut Peer { socket }));
                });
            }
        });
        Self { address, sockets }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were taken.
    pub(crate) fn taken(&self) -> usize {
        self.sockets.lock().unwrap().as_ref().map_or(0, Vec::len)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        for socket in self.sockets.lock().unwrap().take().into_iter().flatten() {
            drop(socket.shutdown(std::net::Shutdown::Both));
        }
        // The listener's thread looks up, and ends.
        drop(TcpStream::connect(self.address));
    }
}

/// The client of one connection.
pub(crate) struct Peer {
    socket: TcpStream,
}

/// A frame as it came.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    /// Takes the client's greeting and sends ours, with these settings.
    pub(crate) fn greet(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        self.socket.read_exact(&mut [0; 24])?;
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.frame(SETTINGS, 0, 0, &payload)
    }

    /// Waits for the next request and returns its stream; pings and settings are answered meanwhile.
    pub(crate) fn request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.read()?;
            if frame.kind == HEADERS {
                return Ok(frame.stream);
            }
        }
    }

    /// Answers pings and settings until the client leaves.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        loop {
            self.read()?;
        }
    }

    /// Reads the next frame and answers it, where it is a ping or settings.
    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload)?;
        match (head[3], head[4] & END) {
            (SETTINGS, 0) => self.frame(SETTINGS, END, 0, &[])?,
            (PING, 0) => self.frame(PING, END, 0, &payload)?,
            _ => {}
        }
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Takes what has come so far and looks at none of it.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        let mut rest = [0; 8 * 1024];
        let read = loop {
            match self.socket.read(&mut rest) {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.socket.set_nonblocking(false)?;
        read
    }

    /// Ends the connection.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Both)
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.socket.write_all(&frame(kind, flags, stream, payload))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The headers of a gRPC answer.
    pub(crate) fn answer(&mut self, stream: u32) -> io::Result<()> {
        self.headers(stream, false, &[(":status", "200"), ("content-type", "application/grpc")])
    }

    pub(crate) fn headers(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) -> io::Result<()> {
        let flags = END_HEADERS | if end { END } else { 0 };
        self.frame(HEADERS, flags, stream, &block(fields))
    }

    /// The end of a gRPC answer.
    pub(crate) fn trailers(&mut self, stream: u32, code: i32, message: &str) -> io::Result<()> {
        self.headers(stream, true, &[("grpc-status", &code.to_string()), ("grpc-message", message)])
    }

    /// One message of a gRPC answer.
    pub(crate) fn message(&mut self, stream: u32, message: &[u8]) -> io::Result<()> {
        self.frame(DATA, 0, stream, &framed(message))
    }

    pub(crate) fn reset(&mut self, stream: u32, reason: u32) -> io::Result<()> {
        self.frame(RST_STREAM, 0, stream, &reason.to_be_bytes())
    }

    pub(crate) fn go_away(&mut self, last: u32, reason: u32, debug: &[u8]) -> io::Result<()> {
        self.frame(GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &reason.to_be_bytes(), debug].concat())
    }
}

/// A frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A message in gRPC's frame.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// A header block without compression.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            length(text.len(), &mut out);
            out.extend(text.as_bytes());
        }
    }
    out
}

/// HPACK's integers, of seven bits in their first byte.
fn length(mut number: usize, out: &mut Vec<u8>) {
    if number < 127 {
        return out.push(u8::try_from(number).unwrap());
    }
    out.push(127);
    number -= 127;
    while number >= 128 {
        out.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    out.push(u8::try_from(number).unwrap());
}

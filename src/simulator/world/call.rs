//! A command as the world's areas see it: a name, typed requests, typed answers.

use bytes::Bytes;
use prost::Message;
use tonic::Status;

/// The messages of an answer, made as they are asked for.
pub(in crate::simulator) type Reply = Box<dyn Iterator<Item = Bytes> + Send>;

/// What came of a command.
pub(super) type Outcome = Result<Reply, Status>;

/// How many elements one page of a list holds.
const PAGE: usize = 100;

/// A command that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) frames: &'c [Bytes],
}

impl Call<'_> {
    /// One request, one answer.
    pub(super) fn one<Q, A>(&self, answer: impl FnOnce(Q) -> Result<A, Status>) -> Outcome
    where
        Q: Message + Default,
        A: Message + Default,
    {
        let encoded: Bytes = answer(self.request()?)?.encode_to_vec().into();
        Ok(Box::new(std::iter::once(encoded)))
    }

    /// One request, a list in pages.
    pub(super) fn list<Q, T, P>(
        &self,
        answer: impl FnOnce(Q) -> Result<Vec<T>, Status>,
        page: fn(Vec<T>) -> P,
    ) -> Outcome
    where
        Q: Message + Default,
        T: Send + 'static,
        P: Message + 'static,
    {
        let mut elements = answer(self.request()?)?.into_iter();
        Ok(Box::new(std::iter::from_fn(move || {
            let next: Vec<T> = elements.by_ref().take(PAGE).collect();
            (!next.is_empty()).then(|| page(next).encode_to_vec().into())
        })))
    }

    /// Several requests, one answer.
    pub(super) fn upload<Q, A>(&self, answer: impl FnOnce(Vec<Q>) -> Result<A, Status>) -> Outcome
    where
        Q: Message + Default,
        A: Message + Default,
    {
        let frames = self.frames.iter().cloned().map(read).collect::<Result<Vec<Q>, _>>()?;
        let encoded: Bytes = answer(frames)?.encode_to_vec().into();
        Ok(Box::new(std::iter::once(encoded)))
    }

    /// The first request.
    pub(super) fn request<Q: Message + Default>(&self) -> Result<Q, Status> {
        read(self.frames.first().cloned().unwrap_or_default())
    }
}

fn read<Q: Message + Default>(frame: Bytes) -> Result<Q, Status> {
    Q::decode(frame).map_err(|error| Status::invalid_argument(error.to_string()))
}

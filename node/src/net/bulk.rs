//! Bulk streams (`/yunling/bulk/1`): one request, one status byte, then frames. A frame is a length
//! (u32, big endian, 1 to 65,536) and its bytes; length 0 and a count of frames (u64) end the stream;
//! length 2^32 - 1 says that the sender gave up. So a cut stream never looks like a finished one, and
//! every wait has a timer. What the frames mean is not known here.

use std::{io, time::Duration};

use futures::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, Stream, StreamExt,
    io::{BufReader, BufWriter},
    stream::{self, BoxStream},
};
use libp2p::PeerId;
use thiserror::Error;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    codec::{OverCap, read_block, read_body, write_block},
    error::NetError,
    limits::{FRAME_BYTES_MAX, REQUEST_BYTES_MAX},
};

/// Name of the bulk protocol on the wire.
pub const BULK_PROTOCOL: &str = "/yunling/bulk/1";

/// Length that ends a stream.
const END: u32 = 0;
/// Length that says the sender gave up.
const ABORT: u32 = u32::MAX;

/// Why a source of frames stopped early. For the log of the sending node only; the peer learns that
/// the stream was given up, not why. Carries no personal data.
#[derive(Clone, Debug, Error)]
#[error("the source of frames stopped: {0}")]
pub struct SourceStopped(pub String);

/// What a service sends on a bulk stream: frames of 1 to [`FRAME_BYTES_MAX`] bytes each, pulled one
/// at a time as fast as the peer reads.
pub struct BulkSource {
    frames: BoxStream<'static, Result<Vec<u8>, SourceStopped>>,
}

impl BulkSource {
    /// A source over any stream of frames. An empty or over-long frame gives the stream up.
    pub fn new(frames: impl Stream<Item = Result<Vec<u8>, SourceStopped>> + Send + 'static) -> Self {
        Self { frames: frames.boxed() }
    }

    /// A source over frames that are in memory already.
    pub fn from_frames(frames: Vec<Vec<u8>>) -> Self {
        Self::new(stream::iter(frames.into_iter().map(Ok)))
    }
}

/// What answers the request of a bulk stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Frames,
    Refused(Vec<u8>),
    Busy,
    Failed,
}

/// Why serving a stream ended before its end marker.
#[derive(Debug, Error)]
pub(super) enum ServeError {
    #[error("the peer did not take a frame within {} s", .0.as_secs())]
    Stalled(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Source(#[from] SourceStopped),
}

/// Work on a stream with the timer that every such work has.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, ServeError> {
    match timeout(limit, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(ServeError::Stalled(limit)),
    }
}

pub(super) async fn read_request<R>(input: &mut R) -> io::Result<Vec<u8>>
where
    R: AsyncRead + Unpin + Send,
{
    read_block(input, "request", REQUEST_BYTES_MAX).await
}

pub(super) async fn write_request<W>(output: &mut W, request: &[u8]) -> io::Result<()>
where
    W: AsyncWrite + Unpin + Send,
{
    write_block(output, "request", REQUEST_BYTES_MAX, request).await?;
    output.flush().await
}

pub(super) async fn read_opening<R>(input: &mut R) -> io::Result<Opening>
where
    R: AsyncRead + Unpin + Send,
{
    let mut status = [0];
    input.read_exact(&mut status).await?;
    match status[0] {
        0 => Ok(Opening::Frames),
        1 => Ok(Opening::Refused(read_block(input, "response", FRAME_BYTES_MAX).await?)),
        2 => Ok(Opening::Busy),
        3 => Ok(Opening::Failed),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown status of bulk stream")),
    }
}

pub(super) async fn write_opening<W>(output: &mut W, opening: &Opening) -> io::Result<()>
where
    W: AsyncWrite + Unpin + Send,
{
    match opening {
        Opening::Frames => output.write_all(&[0]).await?,
        Opening::Refused(reply) => {
            output.write_all(&[1]).await?;
            // A service that gives a longer reason still gets its refusal across.
            let reply = &reply[..reply.len().min(FRAME_BYTES_MAX)];
            write_block(output, "response", FRAME_BYTES_MAX, reply).await?;
        }
        Opening::Busy => output.write_all(&[2]).await?,
        Opening::Failed => output.write_all(&[3]).await?,
    }
    output.flush().await
}

/// Writes the frames of `source` and the end marker; returns the number of frames.
pub(super) async fn write_frames<W>(
    output: W,
    mut source: BulkSource,
    frame_timeout: Duration,
) -> Result<u64, ServeError>
where
    W: AsyncWrite + Unpin + Send,
{
    let mut output = BufWriter::with_capacity(FRAME_BYTES_MAX, output);
    let mut count = 0_u64;
    loop {
        // What is buffered goes out before waiting for a slow source: the reader's timer runs.
        let next = match source.frames.next().now_or_never() {
            Some(next) => next,
            None => {
                within(frame_timeout, output.flush()).await?;
                source.frames.next().await
            }
        };
        let frame = match next {
            None => break,
            Some(Ok(frame)) if (1..=FRAME_BYTES_MAX).contains(&frame.len()) => Ok(frame),
            Some(Ok(frame)) => Err(SourceStopped(format!(
                "frame of {} bytes, allowed are 1 to {FRAME_BYTES_MAX}",
                frame.len()
            ))),
            Some(Err(stopped)) => Err(stopped),
        };
        match frame {
            Ok(frame) => {
                let write = write_block(&mut output, "frame", FRAME_BYTES_MAX, &frame);
                within(frame_timeout, write).await?;
                count += 1;
            }
            Err(stopped) => {
                within(frame_timeout, finish(&mut output, &ABORT.to_be_bytes())).await?;
                return Err(stopped.into());
            }
        }
    }
    let mut end = Vec::with_capacity(12);
    end.extend(END.to_be_bytes());
    end.extend(count.to_be_bytes());
    within(frame_timeout, finish(&mut output, &end)).await?;
    Ok(count)
}

async fn finish<W: AsyncWrite + Unpin>(output: &mut W, marker: &[u8]) -> io::Result<()> {
    output.write_all(marker).await?;
    output.flush().await?;
    output.close().await
}

/// State of a reader.
#[derive(Clone, Debug)]
enum State {
    Open,
    Finished,
    Failed(NetError),
}

/// Reads the frames of a bulk stream.
pub struct BulkReader {
    peer: PeerId,
    input: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    frame_timeout: Duration,
    frames: u64,
    state: State,
    // Held so that the place among this node's streams to the peer is free only after the drop.
    _place: Option<OwnedSemaphorePermit>,
    on_cut: Option<Box<dyn FnOnce() + Send>>,
}

impl BulkReader {
    pub(super) fn new(
        peer: PeerId,
        input: impl AsyncRead + Send + Unpin + 'static,
        frame_timeout: Duration,
        place: Option<OwnedSemaphorePermit>,
        on_cut: Option<Box<dyn FnOnce() + Send>>,
    ) -> Self {
        Self {
            peer,
            input: BufReader::with_capacity(FRAME_BYTES_MAX, Box::new(input)),
            frame_timeout,
            frames: 0,
            state: State::Open,
            _place: place,
            on_cut,
        }
    }

    /// The next frame; `None` only after the sender's end marker with the right count. Once an error
    /// came, every further call gives it again. A call that is dropped half-way cuts the stream.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, NetError> {
        match &self.state {
            State::Open => {}
            State::Finished => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
        }
        self.state = State::Failed(self.cut("a read was given up half-way".to_owned()));
        let result = match timeout(self.frame_timeout, self.read_frame()).await {
            Ok(result) => result,
            Err(_) => {
                let seconds = self.frame_timeout.as_secs_f32();
                Err(self.cut(format!("no frame within {seconds} s")))
            }
        };
        self.state = match &result {
            Ok(Some(_)) => State::Open,
            Ok(None) => State::Finished,
            Err(error) => {
                if let Some(on_cut) = self.on_cut.take() {
                    on_cut();
                }
                State::Failed(error.clone())
            }
        };
        result
    }

    /// Whole frames received so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn cut(&self, detail: String) -> NetError {
        NetError::BulkCut { peer: self.peer, frames: self.frames, detail }
    }

    async fn read_frame(&mut self) -> Result<Option<Vec<u8>>, NetError> {
        let mut length = [0; 4];
        self.read_exact(&mut length).await?;
        let length = u32::from_be_bytes(length);
        if length == END {
            return self.read_end().await;
        }
        if length == ABORT {
            return Err(NetError::BulkAborted { peer: self.peer, frames: self.frames });
        }
        let size = length as usize;
        if size > FRAME_BYTES_MAX {
            return Err(NetError::TooLarge { what: "frame", size, cap: FRAME_BYTES_MAX });
        }
        let body = read_body(&mut self.input, size).await;
        let body = body.map_err(|error| self.cut(error.to_string()))?;
        self.frames += 1;
        Ok(Some(body))
    }

    async fn read_end(&mut self) -> Result<Option<Vec<u8>>, NetError> {
        let mut count = [0; 8];
        self.read_exact(&mut count).await?;
        let count = u64::from_be_bytes(count);
        if count != self.frames {
            let detail = format!("end marker says {count} frames, {} came", self.frames);
            return Err(NetError::Malformed { peer: self.peer, detail });
        }
        Ok(None)
    }

    async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), NetError> {
        let read = self.input.read_exact(bytes).await;
        read.map_err(|error| self.cut(error.to_string()))
    }
}

/// A protocol violation or a broken stream, told apart.
pub(super) fn io_error(peer: PeerId, error: &io::Error) -> NetError {
    if let Some(cap) = error.get_ref().and_then(|e| e.downcast_ref::<OverCap>()) {
        return NetError::TooLarge { what: cap.what, size: cap.size, cap: cap.cap };
    }
    let detail = error.to_string();
    if error.kind() == io::ErrorKind::InvalidData {
        NetError::Malformed { peer, detail }
    } else {
        NetError::Broken { peer, detail }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::{TryStreamExt, io::Cursor};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reader(bytes: Vec<u8>) -> BulkReader {
        BulkReader::new(PeerId::random(), Cursor::new(bytes), SECOND, None, None)
    }

    async fn written(source: BulkSource) -> (Vec<u8>, Result<u64, ServeError>) {
        let mut out = Cursor::new(Vec::new());
        let result = write_frames(&mut out, source, SECOND).await;
        (out.into_inner(), result)
    }

    #[tokio::test]
    async fn frames_read_back_and_the_end_is_seen() {
        let frames = vec![vec![1], vec![2; FRAME_BYTES_MAX], vec![3; 10]];
        let (bytes, count) = written(BulkSource::from_frames(frames.clone())).await;
        assert_eq!(count.unwrap(), 3);
        let mut reader = reader(bytes);
        for frame in frames {
            assert_eq!(reader.next().await.unwrap(), Some(frame));
        }
        assert_eq!(reader.next().await.unwrap(), None);
        assert_eq!(reader.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_stream_cut_at_any_byte_is_an_error_not_an_end() {
        let (bytes, _) = written(BulkSource::from_frames(vec![vec![1; 5], vec![2; 7]])).await;
        for length in 0..bytes.len() {
            let mut reader = reader(bytes[..length].to_vec());
            let error = loop {
                match reader.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("cut at byte {length} looked like an end"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.code(), "net-bulk-cut", "at byte {length}");
            assert_eq!(reader.next().await.unwrap_err().code(), "net-bulk-cut");
        }
    }

    #[tokio::test]
    async fn a_source_that_stops_gives_the_stream_up() {
        let stopped = Err(SourceStopped("disk".to_owned()));
        let source = BulkSource::new(stream::iter([Ok(vec![1]), stopped]));
        let (bytes, result) = written(source).await;
        assert!(matches!(result, Err(ServeError::Source(_))));
        let mut reader = reader(bytes);
        reader.next().await.unwrap();
        assert_eq!(reader.next().await.unwrap_err().code(), "net-bulk-aborted");
    }

    #[tokio::test]
    async fn frames_of_wrong_length_are_not_sent() {
        for size in [0, FRAME_BYTES_MAX + 1] {
            let (bytes, result) = written(BulkSource::from_frames(vec![vec![0; size]])).await;
            assert!(result.is_err());
            assert_eq!(bytes, ABORT.to_be_bytes());
        }
    }

    #[tokio::test]
    async fn a_long_frame_or_a_wrong_count_is_refused() {
        let mut reader_ = reader((FRAME_BYTES_MAX as u32 + 1).to_be_bytes().to_vec());
        assert_eq!(reader_.next().await.unwrap_err().code(), "net-too-large");
        let mut wrong = END.to_be_bytes().to_vec();
        wrong.extend(5_u64.to_be_bytes());
        assert_eq!(reader(wrong).next().await.unwrap_err().code(), "net-malformed");
    }

    #[tokio::test]
    async fn a_silent_sender_runs_into_the_timer() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let input = tokio_to_futures(ours);
        let mut reader = BulkReader::new(PeerId::random(), input, SECOND / 20, None, None);
        let error = reader.next().await.unwrap_err();
        assert!(error.to_string().contains("no frame within"));
    }

    /// The smallest bridge between the two read traits, for one test.
    fn tokio_to_futures(inner: tokio::io::DuplexStream) -> impl AsyncRead + Send + Unpin {
        Box::pin(stream::unfold(inner, |mut inner| async move {
            let mut buffer = [0; 16];
            match tokio::io::AsyncReadExt::read(&mut inner, &mut buffer).await {
                Ok(0) => None,
                Ok(n) => Some((Ok::<_, io::Error>(buffer[..n].to_vec()), inner)),
                Err(e) => Some((Err(e), inner)),
            }
        }))
        .into_async_read()
    }

    #[tokio::test]
    async fn openings_read_back_as_written() {
        for opening in [Opening::Frames, Opening::Refused(vec![9; 100]), Opening::Busy, Opening::Failed] {
            let mut out = Cursor::new(Vec::new());
            write_opening(&mut out, &opening).await.unwrap();
            let mut input = Cursor::new(out.into_inner());
            assert_eq!(read_opening(&mut input).await.unwrap(), opening);
        }
        assert!(read_opening(&mut Cursor::new(vec![8])).await.is_err());
    }
}

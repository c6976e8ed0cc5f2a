//! Bytes of `/yunling/rpc/1`: one request, one reply, each a kind byte, a length and that many bytes.
//! Nothing is allocated ahead of what has arrived, and nothing beyond the cap of its direction is read.
//! The content is opaque here.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt as _};
use libp2p::{StreamProtocol, request_response};

use super::limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// Name of the request protocol on the wire.
pub const RPC_PROTOCOL: &str = "/yunling/rpc/1";

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For the node's service.
    Service,
    /// Answered by the network layer itself with the same bytes: the last step of a connection test.
    Echo,
    /// Not readable as a request; the body says why. Made here instead of an error, since the library
    /// tells nobody about a request that could not be read, and the peer has to be named and counted.
    Unreadable,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The service's answer.
    Answer(Vec<u8>),
    /// Too many requests of this peer are in work; nothing was done.
    Busy,
    /// The service failed; something may have been done.
    Failed,
    /// The answer is longer than the protocol carries; length in bytes.
    TooLarge(u32),
}

/// A length field beyond the cap. Travels inside an `io::Error`, since the codec trait speaks those.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{what} of {size} bytes exceeds the limit of {cap} bytes")]
pub(super) struct OverCap {
    pub(super) what: &'static str,
    pub(super) size: usize,
    pub(super) cap: usize,
}

fn bad(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Reads a length and that many bytes, refusing more than `cap`.
pub(super) async fn read_block<R>(input: &mut R, what: &'static str, cap: usize) -> io::Result<Vec<u8>>
where
    R: AsyncRead + Unpin + Send,
{
    let mut length = [0; 4];
    input.read_exact(&mut length).await?;
    let size = u32::from_be_bytes(length) as usize;
    if size > cap {
        return Err(io::Error::new(io::ErrorKind::InvalidData, OverCap { what, size, cap }));
    }
    read_body(input, size).await
}

/// Reads exactly `size` bytes; the buffer grows with what arrives, not with what was promised.
pub(super) async fn read_body<R>(input: &mut R, size: usize) -> io::Result<Vec<u8>>
where
    R: AsyncRead + Unpin + Send,
{
    let mut body = Vec::new();
    input.take(size as u64).read_to_end(&mut body).await?;
    if body.len() < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

/// Writes a length and the bytes.
pub(super) async fn write_block<W>(
    output: &mut W,
    what: &'static str,
    cap: usize,
    body: &[u8],
) -> io::Result<()>
where
    W: AsyncWrite + Unpin + Send,
{
    let size = body.len();
    if size > cap {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, OverCap { what, size, cap }));
    }
    output.write_all(&(size as u32).to_be_bytes()).await?;
    output.write_all(body).await
}

async fn read_request<R>(input: &mut R) -> io::Result<Request>
where
    R: AsyncRead + Unpin + Send,
{
    let mut kind = [0];
    input.read_exact(&mut kind).await?;
    let kind = match kind[0] {
        0 => Kind::Service,
        1 => Kind::Echo,
        _ => return Err(bad("unknown kind of request")),
    };
    let body = read_block(input, "request", REQUEST_BYTES_MAX).await?;
    Ok(Request { kind, body })
}

/// Reads the bytes of one whole request, as a peer may send them: kind byte and body.
pub fn read_request_bytes(bytes: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    let mut input = bytes;
    // Reading from memory never waits.
    let request = read_request(&mut input).now_or_never().ok_or(io::ErrorKind::WouldBlock)??;
    let kind = u8::from(request.kind == Kind::Echo);
    if input.is_empty() { Ok((kind, request.body)) } else { Err(bad("bytes follow the request")) }
}

/// The codec; it keeps nothing between two streams.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Codec;

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Reply;

    async fn read_request<T>(&mut self, _: &StreamProtocol, input: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_request(input).await {
            Ok(request) => Ok(request),
            Err(error) => Ok(Request { kind: Kind::Unreadable, body: error.to_string().into_bytes() }),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, input: &mut T) -> io::Result<Reply>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut status = [0];
        input.read_exact(&mut status).await?;
        match status[0] {
            0 => Ok(Reply::Answer(read_block(input, "response", RESPONSE_BYTES_MAX).await?)),
            1 => Ok(Reply::Busy),
            2 => Ok(Reply::Failed),
            3 => {
                let mut size = [0; 4];
                input.read_exact(&mut size).await?;
                Ok(Reply::TooLarge(u32::from_be_bytes(size)))
            }
            _ => Err(bad("unknown status of reply")),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        output: &mut T,
        request: Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let kind = match request.kind {
            Kind::Service => 0,
            Kind::Echo => 1,
            Kind::Unreadable => return Err(bad("an unreadable request is not sent on")),
        };
        output.write_all(&[kind]).await?;
        write_block(output, "request", REQUEST_BYTES_MAX, &request.body).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, output: &mut T, reply: Reply) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match reply {
            Reply::Answer(body) => {
                output.write_all(&[0]).await?;
                write_block(output, "response", RESPONSE_BYTES_MAX, &body).await
            }
            Reply::Busy => output.write_all(&[1]).await,
            Reply::Failed => output.write_all(&[2]).await,
            Reply::TooLarge(size) => {
                output.write_all(&[3]).await?;
                output.write_all(&size.to_be_bytes()).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::{executor::block_on, io::Cursor};
    use libp2p::request_response::Codec as _;

    use super::*;

    const PROTOCOL: StreamProtocol = StreamProtocol::new(RPC_PROTOCOL);

    fn reply_of(bytes: Vec<u8>) -> io::Result<Reply> {
        block_on(Codec.read_response(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    fn request_of(bytes: Vec<u8>) -> io::Result<Request> {
        block_on(read_request(&mut Cursor::new(bytes)))
    }

    #[test]
    fn every_reply_reads_back_as_written() {
        for reply in [
            Reply::Answer(vec![]),
            Reply::Answer(vec![7; RESPONSE_BYTES_MAX]),
            Reply::Busy,
            Reply::Failed,
            Reply::TooLarge(5),
        ] {
            let mut out = Cursor::new(Vec::new());
            block_on(Codec.write_response(&PROTOCOL, &mut out, reply.clone())).unwrap();
            assert_eq!(reply_of(out.into_inner()).unwrap(), reply);
        }
    }

    #[test]
    fn a_request_over_the_cap_is_refused_from_its_length_alone() {
        let mut bytes = vec![0];
        bytes.extend((REQUEST_BYTES_MAX as u32 + 1).to_be_bytes());
        let error = request_of(bytes).unwrap_err();
        let cap = error.get_ref().unwrap().downcast_ref::<OverCap>().unwrap();
        assert_eq!(cap.size, REQUEST_BYTES_MAX + 1);
    }

    #[test]
    fn a_cut_or_unknown_message_is_an_error() {
        assert!(request_of(vec![]).is_err());
        assert!(request_of(vec![9, 0, 0, 0, 0]).is_err());
        assert!(request_of(vec![0, 0, 0, 0, 2, 1]).is_err());
        assert!(reply_of(vec![4]).is_err());
        assert!(reply_of(vec![0, 0, 16, 0, 1]).is_err());
    }

    #[test]
    fn nothing_over_the_cap_is_written() {
        let mut out = Cursor::new(Vec::new());
        let body = vec![0; RESPONSE_BYTES_MAX + 1];
        let reply = Reply::Answer(body);
        assert!(block_on(Codec.write_response(&PROTOCOL, &mut out, reply)).is_err());
    }
}

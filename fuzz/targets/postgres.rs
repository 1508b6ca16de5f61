//! PostgreSQL: a client's first words are read or refused; messages that are cut out of a stream are the stream, wherever it
//! is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::postgres::frames::{Frames, HEAD};
use standin_wire::postgres::startup::First;

fuzz_target!(|data: &[u8]| {
    match First::parse(data) {
        Ok(First::Cancel(key)) => assert_eq!(&key.request()[4..], data),
        Ok(First::Startup(startup)) => {
            assert!(!startup.user().is_empty() && !startup.database().is_empty());
            assert!(startup.parameters().all(|(name, value)| !name.contains('\0') && !value.contains('\0')));
            if let Some(offer) = startup.counter_offer() {
                assert_eq!(u32::from_be_bytes(offer[1..5].try_into().unwrap()) as usize + 1, offer.len());
            }
        }
        Ok(First::Tls | First::Gssapi) | Err(_) => {}
    }
    let Some((size, stream)) = data.split_first() else { return };
    let (mut frames, mut passed) = (Frames::default(), Vec::new());
    for piece in stream.chunks(usize::from(*size).max(1)) {
        frames.buffer().extend_from_slice(piece);
        loop {
            match frames.take() {
                Ok(Some(frame)) => {
                    assert!(!frame.whole || frame.body().len() + HEAD == frame.bytes.len());
                    passed.extend_from_slice(&frame.bytes);
                }
                Ok(None) => break,
                Err(_) => return assert!(stream.starts_with(&passed)),
            }
        }
    }
    assert!(stream.starts_with(&passed));
});

//! An origin's frames in HTTP/2: what is heard of its settings is the same whatever pieces they come in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::http2::Listener;

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let (mut whole, mut pieces) = (Listener::default(), Listener::default());
    whole.hear(bytes);
    bytes.chunks(usize::from(*size).max(1)).for_each(|piece| pieces.hear(piece));
    assert_eq!(whole.allowed(), pieces.allowed());
});

"""Live calls that RingCX streams to us, over WSS and over gRPC -> typed events. Knows no file, table, flow or clock.

    wire message ── a dialect ──> events ── an intake ──> whoever listens
                      wss_messages, grpc_messages: pure        flows.calls.receiving

call      one connection (WSS) or one stream (gRPC): `CallStarted` ... `CallEnded`
segment   one leg of its dialog, whose audio becomes one recording: `SegmentStarted`, `Chunk`..., `SegmentStopped`
chunk     20 ms (WSS) or 100 ms (gRPC) of one channel of a segment, with a number that tells its place
track     the chunks of a segment -> its audio, in order, silence where a chunk is missing (`track`, `reorder`): pure

One bad message never ends a call, and one bad call never disturbs another: see `bounds`.
"""

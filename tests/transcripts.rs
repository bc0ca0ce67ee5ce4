//! Wire behaviour, pinned: what clients send and what they get, byte for byte, one file per behaviour.
//!
//! Each file of `tests/transcripts/` is played whole, with every block of a client cut in two at every byte,
//! and dribbled byte by byte; each time exactly the bytes of the file must come, and none besides.
//!
//! ```text
//! # A comment.
//! config: legacy_html=1 max_sessions=2          names of fields of `Config`
//! rule: chat/** publish=user                    a rule of `--channel`
//! token: ann {"sub":"ann","exp":60}             {ann} is a token, its times in seconds from the start
//! c1 > POST /_/echo/csp/send?s={key} | A: b     a request, with Host and Content-Length; its body follows:
//!      [[1,0,"x"]]
//! c1 < 200 text/html csp sandbox                a response: words and `| Name: value` in the order of the wire
//!      ("OK")                                   Date and Content-Length are checked without being told
//! c1 > bytes GET / HTT                          bytes as they are; \r \n \t \0 \s \\ \xHH; {x*3} is xxx
//! c1 < chunk ([])\n                             a chunk; `end` is the last; `bytes` has no framing
//! op1 < all RECEIPT\r\nid:{id}\r\n\r\n\0        all bytes that came, in which names may be learnt
//! stomp1 < frame RECEIPT\nreceipt-id:1\n\n   a frame of STOMP, without its NUL
//! c2 > upgrade /_/echo/ws                       a WebSocket handshake; `upgraded` is its 101
//! c2 > text {"a":1}                             frames: text, binary, ping, pong, close CODE REASON
//! c1 < eof                                      the side shuts its sending; `reset` breaks the connection
//! +30s                                          time goes by: ms, s, m
//! c1 stops reading                              until `c1 reads on`
//! stop                                          the operator stops the node
//! call: http://127.0.0.1:5000/x batch=2         a URL of `--callback`
//! call1 < dial 127.0.0.1:5000                   the node makes a connection, the first: `call1 > connected` or `refused`
//! call1 < post /x 127.0.0.1:5000 text/plain     a request of the node's own, with its host, its type and its body
//! ```
//!
//! `{name}` is what came there first, and from then on the same; `{...}` is anything. A connection is opened
//! where it is first named; those called `app…` come by the internal port, `stomp…` and `op…` by those ports. Lines that begin with a blank go on
//! with the one before. What came must be told before the next thing is done.

#[path = "transcripts/pattern.rs"]
mod pattern;
#[path = "transcripts/player.rs"]
mod player;
#[path = "transcripts/script.rs"]
mod script;

use player::{Cut, play};
use script::Script;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*
        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    a_bad_batch_ends_the_session
    a_bayeux_client_that_answers_no_ping_is_given_up
    a_bare_websocket_echoes_messages
    a_bare_websocket_is_closed_by_its_service
    a_batch_of_too_many_packets_is_refused
    a_batch_that_is_none_is_refused_whatever_it_is
    a_body_is_waited_for_and_100_continue_said
    a_client_may_shut_its_side_and_wait_for_the_answer
    a_close_packet_rides_on_every_downstream
    a_closed_session_lingers_and_is_gone
    a_comet_that_breaks_is_asked_again_with_the_same_a
    a_connection_serves_so_many_requests
    a_connection_that_says_nothing_is_closed
    a_frame_right_behind_the_upgrade_is_read
    a_full_server_sheds_handshakes
    a_gap_of_more_than_64_kib_ends_the_session
    a_gap_of_more_than_sixteen_packets_ends_the_session
    a_handshake_is_repeated_with_an_empty_body
    a_held_comet_of_a_session_that_ends_keeps_its_framing
    a_history_is_paged_both_ways_and_forgotten
    a_line_that_names_every_place_comes_behind_every_notice
    a_location_has_one_page_of_a_key
    a_location_is_for_who_may_have_the_name
    a_location_is_read_by_the_transports_of_2008
    a_location_waits_five_seconds_for_its_page
    a_long_poll_to_http_1_0_closes_or_is_kept
    a_long_target_is_served_up_to_32_kib
    a_message_over_the_limit_is_refused
    a_packet_carries_at_most_32_kib
    a_pattern_brings_every_channel_it_matches_once
    a_peer_that_takes_nothing_is_given_up
    a_ping_that_comes_due_with_the_answer_to_the_last_puts_nothing_off
    a_place_that_is_one_too_many_counts_as_its_message
    a_plain_long_poll_is_answered_by_the_first_message_or_its_time
    a_plain_multipart_answer_is_a_part_per_message
    a_plain_reader_that_takes_nothing_is_ended
    a_plain_reader_who_comes_back_gets_what_it_missed
    a_plain_script_calls_the_clients_callback_and_nothing_else
    a_plain_stream_is_a_json_object_per_line
    a_plain_websocket_is_a_json_object_per_message
    a_publication_of_the_same_id_is_published_once
    a_reader_who_comes_back_gets_all_it_missed_or_is_told
    a_refusal_can_be_read_by_a_page_of_any_origin
    a_request_that_does_not_come_is_timed_out
    a_rule_bounds_a_message
    a_rule_bounds_what_a_session_publishes_in_a_second
    a_rule_says_who_may_publish_and_subscribe
    a_sender_learns_what_became_of_its_message
    a_server_that_stops_posts_the_last_events
    a_server_that_stops_tells_the_application_what_nobody_got
    a_server_that_stops_writes_all_that_waits_for_a_websocket
    a_server_whose_queues_are_full_takes_nothing_new
    a_token_is_passed_over_where_nobody_checks_one
    a_session_ends_with_its_token_unless_it_gave_another
    a_session_is_kicked_though_its_queue_is_full
    a_session_leaves_a_peer_that_takes_nothing
    a_session_moves_between_transports_and_loses_nothing
    a_session_outlives_its_websocket_for_a_minute
    a_session_rides_on_a_websocket
    a_session_that_is_silent_for_a_minute_is_over
    a_session_whose_queue_is_full_is_ended
    a_stream_is_a_chunk_per_batch
    a_stream_to_http_1_0_ends_with_its_connection
    a_streamtest_is_timed_from_when_it_was_taken
    a_target_may_be_absolute_and_hold_anything
    a_websocket_for_no_session_is_closed_4404
    a_websocket_is_pinged_and_closed_as_rfc_6455_says
    a_websocket_that_answers_no_ping_is_given_up
    a_websocket_that_breaks_csp_ends_the_session
    a_websocket_that_set_an_interval_is_shown_it
    a_websocket_with_a_bad_variable_is_told_so
    an_ack_beyond_what_was_sent_is_one_of_all_that_was
    an_answer_while_stopping_says_close
    an_application_that_is_away_is_called_again
    an_event_source_that_long_polls_is_not_told_twice
    an_event_source_that_streams_resumes_where_it_was
    an_event_stream_that_comes_back_is_told_what_it_missed
    an_id_beyond_32_bits_is_not_the_first
    an_id_far_ahead_is_a_gap
    an_owed_acknowledgement_does_not_hurry_a_long_poll
    an_unknown_session_is_told_in_quotes
    an_upgrade_that_is_none_is_refused
    bayeux_carries_sessions_on_one_websocket
    bayeux_confirms_only_what_a_socket_took
    bayeux_ends_sessions_that_want_nothing
    bayeux_grants_pages_of_other_origins_their_cookies
    bayeux_is_held_to_the_rules_of_channels
    bayeux_is_spoken_as_in_2006
    bayeux_is_told_when_to_come_back
    bayeux_knows_the_extensions_of_its_clients
    bayeux_lets_lazy_channels_wait_for_others
    bayeux_lets_tabs_of_a_browser_take_turns
    bayeux_long_polls
    bayeux_loses_nothing_where_clients_acknowledge
    bayeux_polls_by_script_tags
    bayeux_refuses_with_its_own_errors
    bayeux_publishes_whatever_it_says_it_has
    bayeux_replays_what_is_kept
    bayeux_rides_on_a_websocket
    bayeux_says_at_the_end_what_a_socket_never_took
    bayeux_sessions_end_and_say_why
    bayeux_sets_its_cookie_as_it_is_told
    bayeux_streams_to_frames_and_event_sources
    bayeux_takes_tokens_in_ext
    bayeux_tells_what_a_token_opens_no_more
    bayeux_tells_whoever_is_behind_what_it_missed
    bayeux_writes_again_what_a_dead_peer_was_written
    bytes_that_are_no_request_are_refused_and_the_connection_closed
    close_ends_the_session_with_a_close_packet
    connections_beyond_the_limit_are_not_taken
    duplicates_are_dropped_and_answered_ok
    encoding_2_is_spoken_where_it_was_agreed
    encoding_2_is_unknown_where_it_was_not_agreed
    events_are_read_with_a_token_or_a_ticket
    events_are_posted_to_the_application
    events_are_refused_where_a_rule_keeps_anyone_out
    events_are_streamed_to_who_asks_for_channels
    events_need_channels_that_are_some
    head_has_the_head_and_options_the_methods
    js_io_falls_back_to_jsonp
    js_io_long_polls_by_xhr_merges_and_closes
    many_messages_are_published_by_one_request_or_none
    messages_wait_for_users_who_are_away
    nobody_reads_by_a_pattern_what_is_the_applications
    nobody_sends_where_the_operator_says_so
    nothing_of_a_bad_batch_is_taken
    of_a_drop_oldest_channel_the_oldest_go_and_a_gap_is_told
    of_a_latest_channel_the_newest_of_each_key_waits
    of_an_every_channel_the_newest_goes_out_when_its_time_is_over
    of_two_comets_the_older_ends_empty
    only_users_send_where_the_operator_says_so
    outside_demo_mode_nothing_is_open_that_was_not_opened
    op_1_0_is_what_pyorbited_sends
    op_frames_end_as_the_first_one_did
    op_gives_up_a_peer_that_takes_nothing
    op_is_answered_as_the_daemon_of_2008_did
    op_is_told_what_was_not_delivered
    op_is_told_when_a_message_was_written
    op_lets_in_who_shows_a_key
    op_says_who_is_welcome
    op_shares_events_in_groups
    op_tells_who_shut_its_side_what_became_of_it
    op_waits_for_a_frame_as_long_as_for_a_body
    packets_before_their_turn_wait_for_the_gap_to_be_filled
    pages_of_other_origins_are_refused_where_origins_are_listed
    pipelined_requests_wait_until_their_answers_are_taken
    plain_readers_are_answered_by_what_they_accept
    plain_text_is_encoding_0_and_anything_else_is_base64
    poll_mode_answers_at_once_and_never_streams
    publishing_tells_whether_somebody_was_there
    reflect_is_sandboxed
    reflect_is_served_only_with_legacy_html
    requests_behind_a_held_comet_wait_their_turn
    requests_behind_a_stream_wait_for_its_end
    revolved_answers_every_call_exactly_once
    revolved_lets_in_who_has_a_token
    revolved_lines_are_a_byte_stream
    revolved_over_csp_reaches_every_transport
    revolved_of_0_3_ends_with_the_server
    revolved_of_0_3_is_spoken_by_calls
    revolved_of_0_3_refuses_in_its_own_words
    revolved_of_0_3_shows_tokens
    revolved_of_0_3_tells_what_was_missed
    revolved_of_0_3_waits_for_its_stream
    revolved_says_goodbye_over_csp
    revolved_tells_users_and_channels_apart
    settings_changed_under_an_open_iframe_end_it
    stomp_1_0_and_1_1_are_what_their_clients_say
    stomp_1_0_is_told_nothing_that_others_forged
    stomp_1_2_is_spoken_over_tcp
    stomp_acknowledges_one_by_one_or_up_to_one
    stomp_applications_that_are_slow_miss_the_oldest
    stomp_beats_its_heart
    stomp_clients_reach_nothing_of_the_application
    stomp_clients_speak_to_the_application
    stomp_applications_are_told_the_last_when_the_server_stops
    stomp_applications_call_the_verbs_of_the_api
    stomp_applications_have_the_whole_waiting_room
    stomp_applications_publish_what_others_would_be_asked_for
    op_gives_its_name_back_when_it_says_nothing_more
    stomp_applications_calls_are_done_in_their_order
    stomp_applications_read_what_happens
    stomp_applications_share_events_in_groups
    stomp_applications_send_whom_they_like
    stomp_applications_show_a_key
    stomp_applications_need_no_key_in_demo_mode_at_their_port
    stomp_counts_what_a_subscription_that_ended_left
    stomp_gives_nothing_behind_its_last_frame
    stomp_is_held_to_the_rules_of_channels
    stomp_is_whose_token_the_handshake_had
    stomp_lets_in_who_has_a_token
    stomp_readers_who_come_back_get_what_they_missed
    stomp_receipts_say_what_is_true_of_a_kept_channel
    stomp_rides_on_a_websocket
    stomp_rides_on_csp
    stomp_says_what_is_wrong_and_closes
    stomp_shares_the_port_of_http
    stomp_transactions_happen_whole_or_not_at_all
    stomp_users_are_sent_to
    stomp_waits_for_a_frame_as_long_as_for_a_body
    stop_keeps_a_responses_framing
    streamtest_guards_a_callback
    streamtest_tells_whether_something_buffers
    subscriptions_and_channels_have_their_bounds
    the_acceptance_suite_of_the_protocols_authors_passes
    the_api_refuses_what_it_would_not_heed
    the_api_wants_a_key_where_there_is_one
    the_application_comes_back_to_its_events
    the_application_is_told_what_happens
    the_application_kicks_a_user
    the_application_looks_at_channels_and_sessions
    the_application_reads_what_a_session_never_got
    the_application_revokes_tokens
    the_application_sends_to_users_to_one_session_and_to_everybody
    the_application_subscribes_the_sessions_of_a_user
    the_client_of_2009_puts_everything_in_a_form
    the_handshake_of_csp_takes_a_token_or_says_why_not
    the_internal_port_grants_no_preflight
    the_internal_port_refuses_what_it_cannot_serve
    the_server_stops_and_says_so
    the_service_closes_and_the_client_answers
    topics_and_clients_that_are_not_used_are_pruned
    transport_htmlfile_calls_its_parent
    transport_iframe_calls_its_parent
    transport_jsonp_calls_the_clients_callback
    transport_longpoll_is_held_for_its_time
    transport_multipart_replaces_part_by_part
    transport_polling_answers_at_once
    transport_sse_streams_events
    transport_sselongpoll_is_an_event_per_response
    transport_xhrstream_is_lines_behind_blanks
    under_a_script_type_a_prefix_is_a_callback
    variables_are_read_when_a_batch_is_written
    variables_that_do_not_parse_are_ignored
    what_a_client_may_set_is_capped
    what_a_forgotten_channel_held_back_has_no_offset
    what_a_forgotten_channel_held_back_is_missed_by_patterns_only
    what_an_every_channel_holds_back_is_neither_lost_nor_given_twice
    what_another_user_sends_to_a_location_is_json
    what_is_sent_behind_the_one_that_is_too_much_reaches_nobody
    what_sends_no_origin_is_judged_by_where_it_is_from
    what_this_version_does_not_offer_is_said
    where_a_reader_stands_in_many_channels_is_said_behind_what_it_missed
    the_third_bad_token_in_a_row_ends_a_session
    who_has_no_name_says_nothing_to_the_application
    who_reads_by_a_pattern_is_given_what_its_token_names
    who_watches_a_channel_is_told_who_comes_and_goes
}

#[test]
fn every_transcript_is_played() {
    let listed: BTreeSet<String> = LISTED.iter().map(|name| (*name).to_owned()).collect();
    let found = fs::read_dir(folder()).into_iter().flatten();
    let stored: BTreeSet<String> = found
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
        .collect();
    assert_eq!(listed, stored);
}

fn replay(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}.txt: {error}"));
    let run = || {
        let script = Script::parse(&text)?;
        let longest = play(&script, Cut::Whole)?;
        play(&script, Cut::Dribbled)?;
        for at in cuts(longest) {
            play(&script, Cut::At(at))?;
        }
        Ok(())
    };
    let result: Result<(), String> = run();
    if let Err(error) = result {
        panic!("{name}.txt {error}");
    }
}

/// Every place to cut the longest block at, and with it all others; of a very long one, every place in its head
/// and near its end, and some between.
fn cuts(longest: usize) -> Vec<usize> {
    let every = longest <= EVERY_MAX;
    (1..longest)
        .filter(|at| every || *at < HEAD_MAX || longest - at < 16 || at % 4093 == 0)
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// Blocks up to this long are cut at every byte.
const EVERY_MAX: usize = 4096;
/// What a request's head takes, and the beginning of a body.
const HEAD_MAX: usize = 400;

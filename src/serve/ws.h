/* WebSocket (RFC 6455) as a server needs it: the handshake's answer, frames out, and frames in, taken apart and checked as they
 * come. No sockets, no memory: the payload of messages is checked (UTF-8, length) and given up, as clients of live queries have
 * nothing to say. permessage-deflate is not negotiated. */
#ifndef PENSTOCK_SERVE_WS_H
#define PENSTOCK_SERVE_WS_H

#include "serve/http.h"

#define WS_PROTOCOL "penstock.live.v1"
#define WS_BEARER \
    "penstock.bearer." /* a subprotocol of this name carries a token: browsers cannot set headers */
#define WS_MESSAGE_MAX (64u << 10) /* bytes of one message from the client; close code 1009 past it */
#define WS_CONTROL_MAX 125
#define WS_HEAD_MAX    14

enum ws_opcode { WS_CONTINUE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum ws_code {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED = 1003,
    WS_NO_CODE = 1005, /* never sent */
    WS_INVALID = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_RESTART = 1012,
    WS_LATER = 1013
};

/* ---- handshake ---- */

/* A GET that asks for an upgrade to websocket. */
bool ws_asked(const struct http_request *req);
/* NULL, or what is wrong with it (static); *status then: 400, or 426 for a version that is not spoken. */
const char *ws_refused(const struct http_request *req, int *status);
/* The client offers our subprotocol. */
bool ws_offers_protocol(const struct http_request *req);
/* The token among the subprotocols; p NULL: none, or it is no WebSocket request. */
struct slice ws_token(const struct http_request *req);
/* Sec-WebSocket-Accept for a key, with the final 0. */
void ws_accept(struct slice key, char out[29]);

/* ---- out ---- */

size_t ws_head(enum ws_opcode op, uint64_t len, uint8_t out[10]); /* its length */
void ws_frame(enum ws_opcode op, const void *p, size_t len, struct buf *out);
void ws_close_frame(enum ws_code code, const char *reason, struct buf *out);

/* ---- in ---- */

struct utf8_check {
    uint8_t need, low, high; /* bytes to come of the character, and where the next one lies */
};
struct ws_parser { /* all zero: at the beginning */
    uint8_t head[WS_HEAD_MAX];
    uint32_t head_len, head_need;
    uint8_t op; /* of the frame */
    bool fin;
    uint64_t left; /* of its payload; head_len 0: between frames */
    uint8_t mask[4];
    uint32_t mask_at;
    uint8_t message;        /* opcode of the message under way; 0: none */
    uint64_t message_bytes; /* so far */
    struct utf8_check utf8;
    uint8_t control[WS_CONTROL_MAX]; /* payload of a control frame */
    uint32_t control_len;
    uint16_t code; /* of CLOSE (WS_NO_CODE: none given), and of FAILED: what to close with */
};
enum ws_event {
    WS_MORE,   /* all bytes are used */
    WS_PINGED, /* control: what the pong is to carry */
    WS_PONGED,
    WS_MESSAGE, /* a text message ended */
    WS_CLOSED,
    WS_FAILED /* close with `code`; nothing more is taken in */
};
/* Goes on until something has come or p is used up; *used tells how much of it. */
enum ws_event ws_parse(struct ws_parser *w, const uint8_t *p, size_t len, size_t *used);

#endif

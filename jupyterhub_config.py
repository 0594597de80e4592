"""The Hub of Goodman Live: wiring only; what is wired is in `goodman_live.hub`.

Safe as delivered. What is unsafe is switched on by name, in the environment, and announced when
the Hub starts:

GOODMAN_ONE_OS_USER=1    every user's server runs as the Hub's own operating-system user: for one
                         person or a demonstration, since it isolates nobody.
GOODMAN_SHARED_ORIGIN=1  users' servers on the Hub's own address instead of subdomains: a page that
                         one of them sends can act as whoever opens it.
GOODMAN_PLAIN_HTTP=1     an address over a network without TLS.

Also read: GOODMAN_DATA and GOODMAN_DATABASE (`docs/architecture.md`), GOODMAN_HUB_PORT,
GOODMAN_HUB_INTERNAL_PORT, GOODMAN_PROXY_API_PORT, GOODMAN_SERVICE_PORT, GOODMAN_SUBDOMAIN_HOST.
"""

from goodman_live.hub.wiring import hold_port, wire

c = get_config()
wire(c)
hold_port()

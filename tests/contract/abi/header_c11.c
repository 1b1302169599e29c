#include "cloudfunction/executor.h"

/* Every macro of the header is used once, so that each is seen by a strict compiler. */
int header_works(const cf_executor* executor, const cf_host* host);

int header_works(const cf_executor* executor, const cf_host* host) {
    const cf_prefix prefix = {CF_PREFIX_INIT(cf_executor)};
    return CF_HAS(executor, get_extension) && CF_HAS(host, build_log) &&
           prefix.abi_major == CF_ABI_MAJOR;
}

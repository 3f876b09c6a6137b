//! ApiVersions, versions 0 to 4: what is served, in which versions. The rules are those of `core::session::greeting`.
//!
//! A version that is not known is answered in version 0 with UNSUPPORTED_VERSION and the whole list, before its body
//! is read: see `dispatch`.

use vltava_core::session::greeting;
use vltava_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::{
    call::{Answer, Call},
    dispatch::SERVED,
};

pub(crate) fn answer(call: Call<'_>, request: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
    Answer::Now(greeting::answer(SERVED, call.version, &request))
}

//! Who is it? SASL, and the credentials that SCRAM checks against.

use bytes::Bytes;

crate::messages! {
    pub struct SaslHandshakeRequest {
        mechanism: String => 0..;
    }

    pub struct SaslHandshakeResponse {
        error_code: i16 => 0..;
        mechanisms: Vec<String> => 0..;
    }

    pub struct SaslAuthenticateRequest {
        auth_bytes: Bytes => 0..;
    }

    pub struct SaslAuthenticateResponse {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        auth_bytes: Bytes => 0..;
        session_lifetime_ms: i64 => 1..;
    }

    pub struct DescribeUserScramCredentialsRequest {
        users: Option<Vec<UserName>> = Some(Default::default()) => 0..;
    }

    pub struct UserName {
        name: String => 0..;
    }

    pub struct DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        results: Vec<DescribeUserScramCredentialsResult> => 0..;
    }

    pub struct DescribeUserScramCredentialsResult {
        user: String => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        credential_infos: Vec<CredentialInfo> => 0..;
    }

    pub struct CredentialInfo {
        mechanism: i8 => 0..;
        iterations: i32 => 0..;
    }

    pub struct AlterUserScramCredentialsRequest {
        deletions: Vec<ScramCredentialDeletion> => 0..;
        upsertions: Vec<ScramCredentialUpsertion> => 0..;
    }

    pub struct ScramCredentialDeletion {
        name: String => 0..;
        mechanism: i8 => 0..;
    }

    pub struct ScramCredentialUpsertion {
        name: String => 0..;
        mechanism: i8 => 0..;
        iterations: i32 => 0..;
        salt: Bytes => 0..;
        salted_password: Bytes => 0..;
    }

    pub struct AlterUserScramCredentialsResponse {
        throttle_time_ms: i32 => 0..;
        results: Vec<AlterUserScramCredentialsResult> => 0..;
    }

    pub struct AlterUserScramCredentialsResult {
        user: String => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
    }
}

//! The first question on a connection: which APIs in which versions does the broker speak?

crate::messages! {
    pub struct ApiVersionsRequest {
        client_software_name: String => 3..;
        client_software_version: String => 3..;
    }

    pub struct ApiVersionsResponse {
        error_code: i16 => 0..;
        api_keys: Vec<ApiVersion> => 0..;
        throttle_time_ms: i32 => 1..;
    } tagged {
        0 => supported_features: Vec<SupportedFeatureKey> => 3..;
        1 => finalized_features_epoch: i64 = -1 => 3..;
        2 => finalized_features: Vec<FinalizedFeatureKey> => 3..;
        3 => zk_migration_ready: bool => 3..;
    }

    pub struct ApiVersion {
        api_key: i16 => 0..;
        min_version: i16 => 0..;
        max_version: i16 => 0..;
    }

    pub struct SupportedFeatureKey {
        name: String => 3..;
        min_version: i16 => 3..;
        max_version: i16 => 3..;
    }

    pub struct FinalizedFeatureKey {
        name: String => 3..;
        max_version_level: i16 => 3..;
        min_version_level: i16 => 3..;
    }
}

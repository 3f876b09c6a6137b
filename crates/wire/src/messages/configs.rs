//! Configuration of topics, brokers, groups; quotas of clients.

crate::messages! {
    pub struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource> => 0..;
        include_synonyms: bool => 1..;
        #[required] include_documentation: bool => 3..;
    }

    pub struct DescribeConfigsResource {
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        configuration_keys: Option<Vec<String>> = Some(Default::default()) => 0..;
    }

    pub struct DescribeConfigsResponse {
        throttle_time_ms: i32 => 0..;
        results: Vec<DescribeConfigsResult> => 0..;
    }

    pub struct DescribeConfigsResult {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        configs: Vec<DescribeConfigsResourceResult> => 0..;
    }

    pub struct DescribeConfigsResourceResult {
        name: String => 0..;
        value: Option<String> = Some(Default::default()) => 0..;
        read_only: bool => 0..;
        config_source: i8 = -1 => 1..;
        is_sensitive: bool => 0..;
        synonyms: Vec<DescribeConfigsSynonym> => 1..;
        config_type: i8 => 3..;
        documentation: Option<String> = Some(Default::default()) => 3..;
    }

    pub struct DescribeConfigsSynonym {
        name: String => 1..;
        value: Option<String> = Some(Default::default()) => 1..;
        source: i8 => 1..;
    }

    pub struct AlterConfigsRequest {
        resources: Vec<AlterConfigsResource> => 0..;
        validate_only: bool => 0..;
    }

    pub struct AlterConfigsResource {
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        configs: Vec<AlterableConfig> => 0..;
    }

    pub struct AlterableConfig {
        name: String => 0..;
        value: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct AlterConfigsResponse {
        throttle_time_ms: i32 => 0..;
        responses: Vec<AlterConfigsResourceResponse> => 0..;
    }

    pub struct AlterConfigsResourceResponse {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        resource_type: i8 => 0..;
        resource_name: String => 0..;
    }

    pub struct IncrementalAlterConfigsRequest {
        resources: Vec<IncrementalAlterConfigsResource> => 0..;
        validate_only: bool => 0..;
    }

    pub struct IncrementalAlterConfigsResource {
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        configs: Vec<IncrementallyAlterableConfig> => 0..;
    }

    pub struct IncrementallyAlterableConfig {
        name: String => 0..;
        config_operation: i8 => 0..;
        value: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct IncrementalAlterConfigsResponse {
        throttle_time_ms: i32 => 0..;
        responses: Vec<AlterConfigsResourceResponse> => 0..;
    }

    pub struct ListConfigResourcesRequest {
        #[required] resource_types: Vec<i8> => 1..;
    }

    pub struct ListConfigResourcesResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        config_resources: Vec<ConfigResource> => 0..;
    }

    pub struct ConfigResource {
        resource_name: String => 0..;
        resource_type: i8 = 16 => 1..;
    }

    pub struct DescribeClientQuotasRequest {
        components: Vec<ComponentData> => 0..;
        strict: bool => 0..;
    }

    pub struct ComponentData {
        entity_type: String => 0..;
        match_type: i8 => 0..;
        matching: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct DescribeClientQuotasResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        entries: Option<Vec<EntryData>> = Some(Default::default()) => 0..;
    }

    pub struct EntryData {
        entity: Vec<EntityData> => 0..;
        values: Vec<ValueData> => 0..;
    }

    pub struct EntityData {
        entity_type: String => 0..;
        entity_name: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct ValueData {
        key: String => 0..;
        value: f64 => 0..;
    }

    pub struct AlterClientQuotasRequest {
        entries: Vec<AlterEntryData> => 0..;
        validate_only: bool => 0..;
    }

    pub struct AlterEntryData {
        entity: Vec<EntityData> => 0..;
        ops: Vec<OpData> => 0..;
    }

    pub struct OpData {
        key: String => 0..;
        value: f64 => 0..;
        remove: bool => 0..;
    }

    pub struct AlterClientQuotasResponse {
        throttle_time_ms: i32 => 0..;
        entries: Vec<AlteredEntryData> => 0..;
    }

    pub struct AlteredEntryData {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        entity: Vec<EntityData> => 0..;
    }
}

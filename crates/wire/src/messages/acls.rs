//! Who may do what.

crate::messages! {
    pub struct DescribeAclsRequest {
        resource_type_filter: i8 => 0..;
        resource_name_filter: Option<String> = Some(Default::default()) => 0..;
        pattern_type_filter: i8 = 3 => 1..;
        principal_filter: Option<String> = Some(Default::default()) => 0..;
        host_filter: Option<String> = Some(Default::default()) => 0..;
        operation: i8 => 0..;
        permission_type: i8 => 0..;
    }

    pub struct DescribeAclsResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        resources: Vec<DescribeAclsResource> => 0..;
    }

    pub struct DescribeAclsResource {
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        pattern_type: i8 = 3 => 1..;
        acls: Vec<AclDescription> => 0..;
    }

    pub struct AclDescription {
        principal: String => 0..;
        host: String => 0..;
        operation: i8 => 0..;
        permission_type: i8 => 0..;
    }

    pub struct CreateAclsRequest {
        creations: Vec<AclCreation> => 0..;
    }

    pub struct AclCreation {
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        resource_pattern_type: i8 = 3 => 1..;
        principal: String => 0..;
        host: String => 0..;
        operation: i8 => 0..;
        permission_type: i8 => 0..;
    }

    pub struct CreateAclsResponse {
        throttle_time_ms: i32 => 0..;
        results: Vec<AclCreationResult> => 0..;
    }

    pub struct AclCreationResult {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter> => 0..;
    }

    pub struct DeleteAclsFilter {
        resource_type_filter: i8 => 0..;
        resource_name_filter: Option<String> = Some(Default::default()) => 0..;
        pattern_type_filter: i8 = 3 => 1..;
        principal_filter: Option<String> = Some(Default::default()) => 0..;
        host_filter: Option<String> = Some(Default::default()) => 0..;
        operation: i8 => 0..;
        permission_type: i8 => 0..;
    }

    pub struct DeleteAclsResponse {
        throttle_time_ms: i32 => 0..;
        filter_results: Vec<DeleteAclsFilterResult> => 0..;
    }

    pub struct DeleteAclsFilterResult {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        matching_acls: Vec<DeleteAclsMatchingAcl> => 0..;
    }

    pub struct DeleteAclsMatchingAcl {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        resource_type: i8 => 0..;
        resource_name: String => 0..;
        pattern_type: i8 = 3 => 1..;
        principal: String => 0..;
        host: String => 0..;
        operation: i8 => 0..;
        permission_type: i8 => 0..;
    }
}

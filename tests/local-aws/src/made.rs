//! What people and other services make beside tagwire, in a line each.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::LocalAws;

impl LocalAws {
    /// Makes a security group, as a person does; answers its id.
    ///
    /// # Errors
    ///
    /// When EC2 refuses.
    pub async fn security_group(&self, vpc: &str, name: &str) -> Result<String> {
        let request = self.ec2().create_security_group().vpc_id(vpc).group_name(name);
        let made = request.description("made by hand").send().await.with_context(|| format!("making {name}"))?;
        made.group_id().map(str::to_owned).context("CreateSecurityGroup answered no id")
    }

    /// Makes a launch template whose only version names security groups; answers its id.
    ///
    /// # Errors
    ///
    /// When EC2 refuses.
    pub async fn launch_template(&self, name: &str, groups: &[String]) -> Result<String> {
        let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder()
            .image_id("ami-12345678")
            .set_security_group_ids(Some(groups.to_vec()))
            .build();
        let request = self.ec2().create_launch_template().launch_template_name(name).launch_template_data(data);
        let made = request.send().await.with_context(|| format!("making {name}"))?;
        let id = made.launch_template().and_then(|template| template.launch_template_id());
        id.map(str::to_owned).context("CreateLaunchTemplate answered no id")
    }

    /// Makes a network interface that nobody manages and no instance has; answers its id.
    ///
    /// # Errors
    ///
    /// When EC2 refuses.
    pub async fn interface(&self, subnet: &str, groups: &[String]) -> Result<String> {
        let request = self.ec2().create_network_interface().subnet_id(subnet).set_groups(Some(groups.to_vec()));
        let made = request.send().await.context("making an interface")?;
        let id = made.network_interface().and_then(|interface| interface.network_interface_id());
        id.map(str::to_owned).context("CreateNetworkInterface answered no id")
    }

    /// Makes the network interface that Lambda gives a function in a VPC; answers its id.
    ///
    /// # Errors
    ///
    /// When a group is not of the subnet's VPC.
    pub async fn function_interface(&self, subnet: &str, groups: &[String], function: &str) -> Result<String> {
        let order = json!({
            "subnet": subnet,
            "groups": groups,
            "kind": "lambda",
            "requester": format!("AROAEXAMPLEEXAMPLE:{function}"),
            "description": format!("AWS Lambda VPC ENI-{function}-0a1b2c3d"),
        });
        let told = self.control("interface", &order).await?;
        told.get("interface").and_then(Value::as_str).map(str::to_owned).context("no interface was told of")
    }

    /// Deletes an interface that [`LocalAws::function_interface`] has made, as Lambda does with its function.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub async fn delete_function_interface(&self, interface: &str) -> Result<()> {
        self.control("interface", &json!({ "delete": interface })).await.map(drop)
    }
}

"""The vendor's wire: decoding, the gateway client, the REST client, credentials. No SQL."""

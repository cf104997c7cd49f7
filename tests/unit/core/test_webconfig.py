import pytest

from skd_cluster.core.webconfig import Tls, WebConfig, WebConfigError, web_config

HASH = "$2y$10$" + "a" * 53
TLS = {"cert_file": "c.pem", "key_file": "k.pem"}


def test_nothing_in_it_is_open():
    for document in (None, {}, {"tls_server_config": {}, "basic_auth_users": None}):
        assert web_config(document) == WebConfig()


def test_everything_that_is_supported():
    found = web_config(
        {
            "tls_server_config": {
                **TLS,
                "client_auth_type": "RequireAndVerifyClientCert",
                "client_ca_file": "ca.pem",
                "min_version": "TLS12",
                "max_version": "TLS12",
                "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
                "prefer_server_cipher_suites": True,
            },
            "http_server_config": {"http2": True, "headers": {"X-Frame-Options": "deny"}},
            "basic_auth_users": {"prom": HASH},
        }
    )
    suites = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"
    tls = Tls("c.pem", "k.pem", "RequireAndVerifyClientCert", "ca.pem", "TLS12", "TLS12", suites)
    assert found == WebConfig(tls, {"prom": HASH}, {"X-Frame-Options": "deny"})
    assert HASH not in repr(found)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "the file: expected keys"),
        ({"tls": {}}, "tls: not supported here"),
        ({"tls_server_config": {"cert_file": "c"}}, "tls_server_config.key_file: expected the path"),
        ({"tls_server_config": {**TLS, "cert_file": 7}}, "tls_server_config.cert_file: expected the path"),
        ({"tls_server_config": {**TLS, "curve_preferences": []}}, "curve_preferences: not supported"),
        ({"tls_server_config": {**TLS, "client_allowed_sans": ["x"]}}, "client_allowed_sans: not supported"),
        ({"tls_server_config": {**TLS, "client_auth_type": "RequireAnyClientCert"}}, "found RequireAnyClientCert"),
        ({"tls_server_config": {**TLS, "client_auth_type": "RequireAndVerifyClientCert"}}, "client_ca_file: goes with"),
        ({"tls_server_config": {**TLS, "client_ca_file": "ca.pem"}}, "client_ca_file: goes with"),
        ({"tls_server_config": {**TLS, "min_version": "SSL3"}}, "found SSL3"),
        ({"tls_server_config": {**TLS, "min_version": "TLS13", "max_version": "TLS12"}}, "is above"),
        ({"tls_server_config": {**TLS, "cipher_suites": ["TLS_RSA_WITH_RC4_128_SHA"]}}, "found TLS_RSA_WITH_RC4"),
        ({"tls_server_config": {**TLS, "cipher_suites": "RC4"}}, "expected a list"),
        ({"http_server_config": {"headers": {"Set-Cookie": "x"}}}, "Set-Cookie: not supported"),
        ({"http_server_config": {"headers": {"X-Frame-Options": "a\r\nb"}}}, "one line"),
        ({"basic_auth_users": {"prom": "plain-secret"}}, "'prom': expected a bcrypt hash"),
        ({"basic_auth_users": {"": HASH}}, "expected a bcrypt hash"),
        ({"basic_auth_users": {3: HASH}}, "basic_auth_users: expected keys"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_told(document, said):
    with pytest.raises(WebConfigError) as refused:
        web_config(document)
    assert said in str(refused.value)
    assert "plain-secret" not in str(refused.value)

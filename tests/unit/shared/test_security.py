"""Keys and addresses."""

import ipaddress

import pytest

from shared.security import (
    AddressRefused,
    check_url,
    checked_addresses,
    hash_key,
    is_loopback,
    is_public,
    new_key,
    same,
)

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "198.18.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "192.0.0.8", "2001:db8::1", "192.88.99.1", "::127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_public_internet_is_refused(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url", ["ftp://x", "file:///etc/passwd", "http://", "http://u:p@x/", "http://[", "//x", "http://x:99999"]
)
def test_only_plain_http_urls_are_reached(url):
    with pytest.raises(AddressRefused):
        check_url(url)


def test_host_and_port_of_a_url():
    assert check_url("https://example.com/v1") == ("example.com", 443)
    assert check_url("http://[::1]:8080/") == ("::1", 8080)


async def test_private_hosts_need_to_be_allowed():
    with pytest.raises(AddressRefused):
        await checked_addresses("127.0.0.1", 80)
    assert await checked_addresses("127.0.0.1", 80, allow_hosts=["127.0.0.1:80"])
    assert await checked_addresses("127.0.0.1", 80, allow_private=True)


def test_keys_are_random_and_compared_by_hash():
    one, two = new_key(), new_key()
    assert one != two
    assert one.startswith("tw-")
    assert len(hash_key(one)) == 64
    assert same("a", "a")
    assert not same("a", "b\ud800")


def test_loopback_hosts():
    assert is_loopback("127.0.0.1")
    assert is_loopback("localhost")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("example.com")

"""A servo's memory: LeRobot's table, ranges, the lock, and what survives a power cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lerobot.motors.feetech.tables import STS_SMS_SERIES_CONTROL_TABLE as THEIRS
from lerobot.motors.feetech.tables import STS_SMS_SERIES_ENCODINGS_TABLE as SIGNS

from vibrissa.core.errors import UsageError
from vibrissa.twin.registers import BY_ADDRESS, BY_NAME, TABLE, Memory


def test_every_register_that_lerobot_knows_stands_where_lerobot_looks() -> None:
    for name, (address, size) in THEIRS.items():
        register = BY_ADDRESS[address]  # one address has two names in their table
        assert register.size == size, name
        assert BY_NAME.get(name.strip(), register) is register


def test_signs_are_the_bits_that_lerobot_decodes() -> None:
    ours = {r.name: r.sign_bit for r in TABLE if r.sign_bit is not None}
    assert ours == {name: bit for name, bit in SIGNS.items() if name in BY_NAME}


@settings(deadline=None)
@given(st.sampled_from([r for r in TABLE if r.low is not None]), st.integers(-40000, 70000))
def test_a_register_takes_its_range_and_nothing_else(register, value) -> None:
    memory = Memory()
    before = memory[register.name]
    data = register.encode(value)
    meant = register.decode(data)
    taken = memory.write(register.address, data)
    fits = register.low <= meant <= register.high
    assert (register.name in taken) == fits
    assert memory[register.name] == (meant if fits else before)


def test_what_is_read_only_stays() -> None:
    memory = Memory()
    assert memory.write(3, b"\1\2") == []
    assert memory.write(56, b"\1\2") == []
    assert memory["Model_Number"] == 777


def test_one_write_may_cover_several_registers() -> None:
    memory = Memory()
    assert memory.write(21, bytes((16, 32, 5))) == [
        "P_Coefficient",
        "D_Coefficient",
        "I_Coefficient",
    ]
    assert memory.read(21, 3) == bytes((16, 32, 5))


def test_eprom_is_kept_only_while_it_is_unlocked() -> None:
    memory = Memory()
    memory.write(21, bytes((16,)))
    memory.write(55, b"\1")
    memory.write(21, bytes((99,)))
    assert memory["P_Coefficient"] == 99
    memory.power_on()
    assert memory["P_Coefficient"] == 16
    assert memory["Lock"] == 0


def test_the_torque_limit_starts_as_the_most_there_is() -> None:
    memory = Memory()
    memory.write(16, (500).to_bytes(2, "little"))
    assert memory["Torque_Limit"] == 1000
    memory.power_on()
    assert memory["Torque_Limit"] == 500


def test_a_file_with_a_register_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="Spin"):
        Memory({"Spin": 3})

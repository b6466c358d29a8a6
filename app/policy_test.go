package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestMergePolicy(t *testing.T) {
	t.Parallel()
	const both, platform, provider, off = tandem.OwnedByBoth, tandem.OwnedByPlatform, tandem.OwnedByProvider, tandem.NotSynced
	const hold = tandem.Hold
	type policy = tandem.MergePolicy
	for name, tt := range map[string]struct {
		owners, conflicts string
		want              policy
	}{
		"nothing set":       {"", "", policy{}},
		"blanks":            {"  ", " ", policy{}},
		"one owner":         {"name=platform", "", policy{"name": {Owner: platform}}},
		"one winner":        {"", "email=hold", policy{"email": {Conflict: hold}}},
		"as in the manual":  {"name=platform,metadata.plan=provider,phone=off", "email=hold,address=provider", policy{"name": {Owner: platform}, "metadata.plan": {Owner: provider}, "phone": {Owner: off}, "email": {Conflict: hold}, "address": {Conflict: tandem.ProviderWins}}},
		"blanks in between": {" name = platform , phone = off ", " email = hold ", policy{"name": {Owner: platform}, "phone": {Owner: off}, "email": {Conflict: hold}}},
		"every field":       {"", "*=hold", policy{"name": {Conflict: hold}, "email": {Conflict: hold}, "phone": {Conflict: hold}, "address": {Conflict: hold}, "metadata": {Conflict: hold}}},
		"every field but one": {"", "*=hold,email=platform,metadata=provider", policy{
			"name": {Conflict: hold}, "email": {Conflict: tandem.PlatformWins}, "phone": {Conflict: hold}, "address": {Conflict: hold}, "metadata": {Conflict: tandem.ProviderWins},
		}},
		"a key keeps what its group says about the other half": {"metadata.plan=provider", "metadata=hold", policy{
			"metadata": {Conflict: hold}, "metadata.plan": {Owner: provider, Conflict: hold},
		}},
		"a key keeps what * says": {"*=provider,metadata.plan=both", "metadata.plan=hold", policy{
			"name": {Owner: provider}, "email": {Owner: provider}, "phone": {Owner: provider}, "address": {Owner: provider}, "metadata": {Owner: provider},
			"metadata.plan": {Owner: both, Conflict: hold},
		}},
		"a key may look like anything": {"metadata.a.b=off,metadata.x=y=provider,metadata.Größe=platform", "", policy{
			"metadata.a.b": {Owner: off}, "metadata.x=y": {Owner: provider}, "metadata.Größe": {Owner: platform},
		}},
		"* says nothing against an owner": {"name=provider", "*=hold", policy{
			"name": {Owner: provider, Conflict: hold}, "email": {Conflict: hold}, "phone": {Conflict: hold}, "address": {Conflict: hold}, "metadata": {Conflict: hold},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Config{FieldOwners: tt.owners, FieldConflicts: tt.conflicts}.mergePolicy(func(variable, format string, args ...any) {
				require.Fail(t, variable+": "+fmt.Sprintf(format, args...))
			})
			require.Equal(t, tt.want, got)
		})
	}
}

func TestMergePolicy_faults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ owners, conflicts, says string }{
		"no value":                   {"name", "", `TANDEM_FIELD_OWNERS: entry 1: must look like email=both`},
		"an empty entry":             {"name=off,", "", `TANDEM_FIELD_OWNERS: entry 2: must look like email=both`},
		"no field":                   {"=off", "", `TANDEM_FIELD_OWNERS: entry 1: "" is no synced field: name, email, phone, address, metadata, metadata.<key> or *`},
		"no such owner":              {"name=stripe", "", `TANDEM_FIELD_OWNERS: entry 1: name must be one of both, platform, provider, off, not "stripe"`},
		"no such winner":             {"", "name=off", `TANDEM_FIELD_CONFLICTS: entry 1: name must be one of platform, provider, hold, not "off"`},
		"case counts":                {"Name=off", "", `TANDEM_FIELD_OWNERS: entry 1: "Name" is no synced field`},
		"no such field":              {"", "email=hold,status=hold", `TANDEM_FIELD_CONFLICTS: entry 2: "status" is no synced field`},
		"external_id is not merged":  {"external_id=provider", "", `"external_id" is no synced field`},
		"a part of the address":      {"address_city=off", "", `TANDEM_FIELD_OWNERS: entry 1: an address is synced as one value: address, not address_city`},
		"a part of the address, dot": {"address.city=off", "", `an address is synced as one value`},
		"no key":                     {"metadata.=off", "", `a metadata key is missing`},
		"all keys":                   {"metadata.*=off", "", `all metadata keys together are metadata`},
		"a reserved key":             {"metadata." + tandem.KeyCustomerID + "=provider", "", `metadata.flexprice_customer_id belongs to Tandem`},
		"twice":                      {"name=off,name=both", "", `TANDEM_FIELD_OWNERS: entry 2: name is there twice`},
		"a winner without a contest": {"email=provider", "email=hold", `TANDEM_FIELD_CONFLICTS: email: its owner is provider, so there is no conflict to decide`},
		"the same by the group":      {"metadata=off", "metadata.plan=hold", `TANDEM_FIELD_CONFLICTS: metadata.plan: its owner is off`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Config{FieldOwners: tt.owners, FieldConflicts: tt.conflicts}.Validate(NeedsAll)
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, 1, strings.Count(err.Error(), "TANDEM_FIELD_"), "one fault is said once: %v", err)
		})
	}
	t.Run("all of them together, beside the faults of other variables", func(t *testing.T) {
		t.Parallel()
		err := Config{FieldOwners: "name,phone=nobody,status=off", FieldConflicts: "email=never"}.Validate(NeedsAll)
		require.ErrorContains(t, err, "DATABASE_URL: ")
		require.Equal(t, 3, strings.Count(err.Error(), fieldOwners+": "), err)
		require.Equal(t, 1, strings.Count(err.Error(), fieldConflicts+": "), err)
	})
}

// The environment is what people write.
func TestLoadConfig_mergePolicy(t *testing.T) {
	t.Setenv(fieldOwners, "name=platform,metadata.plan=provider,phone=off")
	t.Setenv(fieldConflicts, "email=hold,address=provider")
	c, err := LoadConfig()
	require.NoError(t, err)
	c.StripeAPIKey = "sk_test_1"
	c.StripeWebhookSecrets = []Secret{"whsec_12345678"}
	_, policy, err := c.providers(nil)
	require.NoError(t, err)
	require.Equal(t, tandem.MergePolicy{
		"name": {Owner: tandem.OwnedByPlatform}, "metadata.plan": {Owner: tandem.OwnedByProvider}, "phone": {Owner: tandem.NotSynced},
		"email": {Conflict: tandem.Hold}, "address": {Conflict: tandem.ProviderWins},
	}, policy.Merge)
}

# %% [markdown]
# # bring_a_nir_file

# %%
print(1)
